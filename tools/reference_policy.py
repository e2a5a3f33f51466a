"""docs/policy-input.md: the input schema, the answer, and the rules with what their annotations say of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

POLICIES: Final = Path(__file__).resolve().parents[1] / "policies"

_INTRO = """\
# What policy reads and answers

Generated from `policies/schemas/input.json` and the rules' annotations by `make docs`; do not edit by hand.

extproc asks OPA for `data.headgate.main.decision` once a request. The input holds facts and counts, never text of the
prompt. **A field that is not known is absent, never null.** How to write and test a rule:
[security.md](security.md#writing-a-rule).

## The input

Fields in bold are always there.

| field | type | meaning |
|---|---|---|
"""

_ANSWER = """
## The answer

`policies/main.rego` joins what the rules say: deny over redact over allow, among the rules that bind. Rules in shadow
only leave their reason. Anything that is not a whole, consistent answer counts as no answer
([codes](codes.md#no-policy-answered)).

| field | type | meaning |
|---|---|---|
| `action` | `allow`, `redact`, `deny` | What has to be done |
| `status` | integer, 400 to 599 | HTTP status of a denial |
| `reasons[]` | `{rule, message, action, enforced}` | Every rule that fired; clients see the enforced denials |
| `redact` | list of entities | What is replaced before the request is forwarded; empty for `allow` |
| `mask` | list of entities | What is replaced in the request that is kept |
| `obligations.capture` | `full`, `redacted`, `metadata` | How much text the archive keeps; binds in shadow too |
| `obligations.retention_class` | text | Which retention rule will apply |

## The rules

Iterated, not registered: a folder under `policies/rules/<category>/` is a rule. `enforcement` in
[policies/data/data.yaml](../policies/data/data.yaml) turns a rule to `enforce` or `shadow`, for all or for one team.

| rule | severity | by default | reads | what it does |
|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    title: str
    description: str
    severity: str
    enforcement: str
    reads: tuple[str, ...]


def policy_page() -> str:
    schema = json.loads((POLICIES / "schemas" / "input.json").read_text(encoding="utf-8"))
    fields = [
        f"| {'**' if required else ''}`{path}`{'**' if required else ''} | {kind} | {meaning} |"
        for path, kind, meaning, required in input_fields(schema)
    ]
    rows = [
        f"| `{rule.id}` | {rule.severity} | {rule.enforcement} | {', '.join(f'`{name}`' for name in rule.reads)} | "
        f"{rule.title}. {rule.description} |"
        for rule in rules()
    ]
    return _INTRO + "\n".join(fields) + "\n" + _ANSWER + "\n".join(rows) + "\n"


def input_fields(schema: dict[str, Any], path: str = "", present: bool = True) -> Iterator[tuple[str, str, str, bool]]:
    """(path, type, meaning, always there) of each field, depth first, as the schema orders them."""
    required = schema.get("required", ())
    for name, node in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        always = present and name in required
        below = node.get("items", {}) if node["type"] == "array" else node
        where += "[]" if node["type"] == "array" else ""
        if "properties" in below:
            if "description" in node:
                yield where, "list", node["description"], always
            yield from input_fields(below, where, always)
        else:
            yield where, _kind(node), node.get("description", ""), always


def _kind(node: dict[str, Any]) -> str:
    if node["type"] == "array":
        return f"list of {_kind(node['items'])}"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    name: str = node["type"]
    return {"string": "text", "boolean": "true or false"}.get(name, name)


def rules() -> list[Rule]:
    """Every rule of the policy folder, by id."""
    found = []
    for path in sorted(POLICIES.glob("rules/*/*/*.rego")):
        if path.name.endswith("_test.rego"):
            continue
        metadata = metadata_of(path)
        custom = metadata["custom"]
        found.append(
            Rule(
                id=custom["id"],
                title=metadata["title"].rstrip("."),
                description=" ".join(metadata["description"].split()),
                severity=custom["severity"],
                enforcement=custom["enforcement"],
                reads=tuple(custom["reads"]),
            )
        )
    return sorted(found, key=lambda rule: rule.id)


def metadata_of(path: Path) -> dict[str, Any]:
    """The package's METADATA block: YAML in comments, from the first line on. Raises `ValueError` without one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != "# METADATA":
        raise ValueError(f"{path} does not begin with # METADATA")
    block = []
    for line in lines[1:]:
        if not line.startswith("#"):
            break
        block.append(line[2:])
    metadata: dict[str, Any] = yaml.safe_load("\n".join(block))
    return metadata
