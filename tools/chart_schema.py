"""Keeps the chart's schema in step with the settings: `python tools/chart_schema.py [--check]`.

`helm/values.schema.json` is written by hand, except for its `$defs`: these are derived from the models in
`extproc.config`, without what the chart sets itself and without any way to write a secret into values.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from extproc.config import Configuration
from extproc.custom_patterns import PatternsFile
from extproc.teams import Teams

SCHEMA: Final = Path(__file__).resolve().parents[1] / "helm" / "values.schema.json"
SET_BY_THE_CHART: Final[Mapping[str, frozenset[str]]] = {
    "Configuration": frozenset({"version", "replica_id", "run_dir", "teams", "fingerprint_key", "detectors"}),
    "Listener": frozenset({"address", "tls"}),
    "Jwt": frozenset({"jwks_file"}),
    "Policy": frozenset({"bundle", "socket", "state_dir", "bundle_token", "verification_key_file"}),
    "Capture": frozenset({"spool_dir", "archive_dir"}),
    "Telemetry": frozenset({"metrics_address", "access_log"}),
    "Redaction": frozenset({"key"}),
    "Secret": frozenset({"env", "value"}),
}
"""Model → fields that values do not have: helm/templates/_settings.tpl fills them in."""
FOLDERS: Final = {"ProviderCredential": "provider-keys", "Caller": "client-keys"}
"""Model → folder under /etc/headgate where the chart mounts the Secret that its keys lie in."""
_FILE_NAME: Final = "[-._a-zA-Z0-9]+$"

Node = dict[str, Any]


def derived() -> Node:
    """The `$defs` of the chart's schema: `Configuration`, `Team`, `CustomPattern` and what they are made of."""
    configuration, teams = Configuration.model_json_schema(), Teams.model_json_schema()
    models: dict[str, Node] = {**configuration.pop("$defs"), **teams.pop("$defs"), "Configuration": configuration}
    models |= PatternsFile.model_json_schema()["$defs"]
    secret = models.pop("Secret")
    result = {name: _without_chart_fields(name, model) for name, model in sorted(models.items())}
    for name, folder in FOLDERS.items():
        result[f"{name}Secret"] = _secret(secret, folder)
        _point(result[name], f"{name}Secret")
    for name, field in (("Provider", "ca_file"), ("Policy", "bundle_ca_file")):
        result[name]["properties"][field] = {
            "description": models[name]["properties"][field]["description"],
            "type": ["string", "null"],
            "pattern": f"^/etc/headgate/ca/{_FILE_NAME}",
        }
    result["Configuration"]["properties"]["providers"]["minProperties"] = 1
    result["Configuration"]["properties"]["routes"]["minItems"] = 1
    reachable = _reachable(result, ("Configuration", "Team", "CustomPattern"))
    return {name: node for name, node in result.items() if name in reachable}


def _without_chart_fields(name: str, model: Node) -> Node:
    left_out = SET_BY_THE_CHART.get(name, frozenset())
    node: Node = _plain(model)
    if "properties" in node:
        node["properties"] = {key: value for key, value in node["properties"].items() if key not in left_out}
    if "required" in node:
        node["required"] = [key for key in node["required"] if key not in left_out]
    return node


def _plain(node: Any) -> Any:
    """Without what only makes the file longer: titles, and the formats that no validator checks."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _plain(value) for name, value in item.items()} if key == "properties" else _plain(item)
        for key, item in node.items()
        if key not in ("title", "format")
    }


def _secret(secret: Node, folder: str) -> Node:
    """A key in values is a file of the Secret that the chart mounts, never the key itself."""
    return {
        "description": secret["description"],
        "type": "object",
        "additionalProperties": False,
        "required": ["file"],
        "properties": {
            "file": {"type": "string", "pattern": f"^/etc/headgate/{folder}/{_FILE_NAME}"},
        },
    }


def _point(node: Any, target: str) -> None:
    """Every reference to `Secret` below `node` becomes one to `target`."""
    if isinstance(node, list):
        for item in node:
            _point(item, target)
    elif isinstance(node, dict):
        if node.get("$ref") == "#/$defs/Secret":
            node["$ref"] = f"#/$defs/{target}"
        for item in node.values():
            _point(item, target)


def _reachable(nodes: Mapping[str, Node], roots: tuple[str, ...]) -> set[str]:
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            text = json.dumps(nodes[name])
            waiting += [other for other in nodes if f'"#/$defs/{other}"' in text]
    return seen


def rendered() -> str:
    """The whole file as it should be."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["$defs"] = derived()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(argv: list[str]) -> int:
    text = rendered()
    if "--check" not in argv:
        SCHEMA.write_text(text, encoding="utf-8")
        return 0
    if SCHEMA.read_text(encoding="utf-8") == text:
        return 0
    print("helm/values.schema.json is out of step with extproc/config.py: run python tools/chart_schema.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
