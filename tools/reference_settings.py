"""docs/configuration.md, from the pydantic models of `extproc.config`: every field, its type, default and meaning."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_INTRO = """\
# Configuration

Generated from `extproc/config.py` by `make docs`; do not edit by hand.

Two files: `headgate.yaml`, and the teams file that it names; a third one, with patterns of your own, if you like
([how](security.md#patterns-of-your-own)). Unknown fields are errors, and every error stops start-up
and names the file, the field and what is expected: `headgate config check` says so without starting anything.
`headgate config schema` (and `--teams`) prints the JSON Schema for an editor. Relative paths are relative to the file
they stand in. A file is read at start: restart the process to apply a change
([how](platform.md#changing-the-configuration)). The example is [envoy/headgate.yaml](../envoy/headgate.yaml).

A limit carries its unit in its name, and its line says what happens beyond it.
"""


def settings_page() -> str:
    from extproc.config import Configuration, Secret
    from extproc.custom_patterns import PatternsFile
    from extproc.teams import Teams

    lines = [_INTRO]
    for title, model in (
        ("headgate.yaml", Configuration),
        ("The teams file", Teams),
        ("The patterns file", PatternsFile),
    ):
        lines += [f"## {title}", ""]
        for path, section in sections(model):
            if section is not Secret:
                lines += _section(f"### `{path}`" if path else "### Top level", section)
    lines += [
        *_section("## A secret", Secret),
        "Exactly one of the three. It is read when it is needed, never printed.",
    ]
    return "\n".join(lines).rstrip() + "\n"


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """(path, model) of the model and of all that it is made of, each model once, outermost first."""
    seen: set[type[BaseModel]] = set()
    queue = [(path, model)]
    while queue:
        where, current = queue.pop(0)
        if current in seen:
            continue
        seen.add(current)
        yield where, current
        for name, field in current.model_fields.items():
            for below, suffix in _models_in(field.annotation):
                queue.append((f"{where}.{name}{suffix}".lstrip("."), below))


def _models_in(annotation: Any, suffix: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, suffix
        return
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (tuple, list):
        suffix = "[]"
    elif origin is dict:
        suffix, inner = ".<name>", inner[1:]
    for item in inner:
        yield from _models_in(item, suffix)


def _section(heading: str, model: type[BaseModel]) -> list[str]:
    lines = [heading, ""]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    for field_name, field in model.model_fields.items():
        is_bytes = "bytes" in field_name
        kind = _type_name(field.annotation) + _bounds(field, is_bytes=is_bytes)
        cells = (f"`{field_name}`", kind, _default(field_name, field, model), field.description or "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*lines, ""]


_PLAIN: Mapping[Any, str] = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}


def _type_name(annotation: Any) -> str:
    from extproc.config import Secret

    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if annotation is Secret:
        return "[secret](#a-secret)"
    if origin is Annotated:
        return _type_name(inner[0])
    if origin is Literal:
        return " | ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return _type_name(next(item for item in inner if item is not type(None)))
    if origin is tuple:
        return f"list of {_type_name(inner[0])}"
    if origin is dict:
        return f"map of {_type_name(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(f"`{member.value}`" for member in annotation)
    return "section"


def _bounds(field: FieldInfo, *, is_bytes: bool) -> str:
    told = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = [
        f"{words} {_number(getattr(constraint, name), is_bytes=is_bytes)}"
        for constraint in field.metadata
        for name, words in told.items()
        if getattr(constraint, name, None) is not None
    ]
    return f", {', '.join(found)}" if found else ""


_WITH_DEFAULTS = ("listener", "policy", "limits", "capture", "telemetry")
"""Sections that may be left out whole."""


def _default(name: str, field: FieldInfo, model: type[BaseModel]) -> str:
    from extproc.config import Configuration

    if field.is_required():
        return "its fields' defaults" if model is Configuration and name in _WITH_DEFAULTS else "**required**"
    value = field.default
    if value is None:
        return "—"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if isinstance(value, str | Path):
        return f"`{value}`" if str(value) else "empty"
    if isinstance(value, tuple):
        return "empty"
    return _number(value, is_bytes="bytes" in name)


_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def _number(value: float, *, is_bytes: bool) -> str:
    """With the size in words where it is a round number of bytes."""
    digits = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    size, unit = next(((size, unit) for size, unit in _UNITS if value >= size and value % size == 0), (0, ""))
    return f"{digits} ({value // size} {unit})" if is_bytes and size else digits
