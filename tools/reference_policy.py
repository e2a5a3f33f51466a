"""docs/policy-input.md: the input schema, the answer, the rules as their annotations describe them, the settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

POLICIES: Final = Path(__file__).resolve().parents[1] / "policies"

_INTRO = """\
# What policy reads and answers

Generated from `policies/schemas` and the rules' annotations by `make docs`; do not edit by hand.

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

| rule | severity | by default | reads | settings | what it does |
|---|---|---|---|---|---|
"""

_SETTINGS = """
## The settings

Of `default`, of each team in `teams`, and of each of their `environments`, in
[policies/data/data.yaml](../policies/data/data.yaml). `headgate policy check` holds the file to
[policies/schemas/settings.json](../policies/schemas/settings.json).

| setting | type | meaning |
|---|---|---|
"""

_BESIDE = """
Beside `default` and `teams` stand [freezes](security.md#freezes) and [exceptions](security.md#exceptions). Members in
bold must be there.

| member | type | meaning |
|---|---|---|
"""

_TAKES: Final = re.compile(
    r'team\.(?:list|map|restricts)\("(\w+)"\)|team\.settings\.(\w+)|config\.(freezes)|(handling)\.of\b'
)
"""How a rule takes a setting."""


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    title: str
    description: str
    severity: str
    enforcement: str
    reads: tuple[str, ...]
    settings: tuple[str, ...]


def policy_page() -> str:
    schema = json.loads((POLICIES / "schemas" / "input.json").read_text(encoding="utf-8"))
    fields = [
        f"| {'**' if required else ''}`{path}`{'**' if required else ''} | {kind} | {meaning} |"
        for path, kind, meaning, required in input_fields(schema)
    ]
    rows = [
        f"| `{rule.id}` | {rule.severity} | {rule.enforcement} | {_named(rule.reads)} | {_named(rule.settings)} | "
        f"{rule.title}. {rule.description} |"
        for rule in rules()
    ]
    of_data = json.loads((POLICIES / "schemas" / "settings.json").read_text(encoding="utf-8"))
    settings = [
        f"| `{name}` | {_setting_kind(node)} | {node['description']} |"
        for name, node in of_data["definitions"]["settings"]["properties"].items()
    ]
    beside = [
        f"| {'**' if name in items['required'] else ''}`{key}[].{name}`{'**' if name in items['required'] else ''} "
        f"| {_setting_kind(node)} | {node['description']} |"
        for key in ("freezes", "exceptions")
        for items in [of_data["properties"][key]["items"]]
        for name, node in items["properties"].items()
    ]
    tables = [_INTRO, *_lines(fields), _ANSWER, *_lines(rows), _SETTINGS, *_lines(settings), _BESIDE, *_lines(beside)]
    return "".join(tables)


def _lines(rows: list[str]) -> Iterator[str]:
    return (row + "\n" for row in rows)


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _setting_kind(node: dict[str, Any]) -> str:
    """The type of a setting, in words; of an object, what its values are."""
    if "anyOf" in node:
        return " or ".join(_setting_kind(one) for one in node["anyOf"])
    if node["type"] == "array":
        return f"list of {_setting_kind(node['items'])}"
    if node["type"] == "object":
        if "properties" in node:
            return ", ".join(f"`{name}`" for name in node["properties"])
        return f"by name: {_setting_kind(node['additionalProperties'])}"
    return _kind(node)


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
                settings=_taken(path.read_text(encoding="utf-8")),
            )
        )
    return sorted(found, key=lambda rule: rule.id)


def _taken(text: str) -> tuple[str, ...]:
    """The settings that a rule takes, by name, as far as its own text shows; those of `lib` hold for every rule."""
    names = ("".join(found) for found in _TAKES.findall(text))
    return tuple(sorted({"data_classes" if name == "handling" else name for name in names}))


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
