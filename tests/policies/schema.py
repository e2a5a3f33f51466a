"""Checks a value against the part of JSON Schema (draft 07) that `policies/schemas` uses, and refuses to know less."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_KNOWN = {"$schema", "title", "description", "type", "enum", "properties", "required", "additionalProperties", "items"}


def faults(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """Every fault, each with its place; empty when the value is as the schema says."""
    unknown = set(schema) - _KNOWN
    assert not unknown, f"{where}: this checker does not know {unknown}"
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{where}: not of type {kind}"]
    found = [f"{where}: not one of {schema['enum']}"] if "enum" in schema and value not in schema["enum"] else []
    if kind == "object":
        properties = schema["properties"]
        assert schema["additionalProperties"] is False, f"{where}: the schema has to be closed"
        found += [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            place = f"{where}.{name}"
            found += faults(item, properties[name], place) if name in properties else [f"{place}: not in the schema"]
    if kind == "array":
        for index, item in enumerate(value):
            found += faults(item, schema["items"], f"{where}[{index}]")
    return found
