"""docs/entities.md: what the detectors find, from the detectors themselves."""

from __future__ import annotations

from typing import Final

_INTRO: Final = """\
# Entities

Generated from `extproc/detectors` by `make docs`; do not edit by hand. `headgate scan --list` prints the same, with the
patterns that a deployment adds.

Rules speak of the data class; findings, placeholders and the archive name the entity. A name in bold is Presidio's.
A form is what a hit looks like: `9` stands for a digit, `A` for a letter, `…` for more.
"""
_CLASSES: Final = {
    "pii": "Personal data. What has check digits is reported only where they are right; a number whose form many "
    "others share needs a word before it that says what it is.",
    "secret": "Credentials. Placeholders (`your-key`, `xxxx…`) are passed over.",
    "network": "Addresses of machines. Prompts about software are full of them.",
    "injection": "Attempts to steer a model: what a text does, not what it holds. None of them is proof.",
}


def entities_page() -> str:
    from extproc.detectors import DETECTORS

    lines = [_INTRO]
    for data_class, meaning in _CLASSES.items():
        lines += [f"## `{data_class}`", "", meaning, "", "| entity | what it is | form |", "|---|---|---|"]
        notes = [note for detector in DETECTORS if detector.data_class == data_class for note in detector.notes]
        for note in sorted(notes, key=lambda note: note.name):
            name = f"**`{note.name}`**" if note.presidio else f"`{note.name}`"
            form = f"`{note.form}`".replace("|", "\\|") if note.form else ""
            lines.append(f"| {name} | {note.what} | {form} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
