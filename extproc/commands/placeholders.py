"""Addresses with something left out: recorders write `<project-id>`, `{account}`, `[REDACTED]` or `***` in its stead.

On the wire no path has such characters, so a call that has them is spoken in no api that the gate knows. Of a recording
they mean that somebody took a name out, which is as good as a name.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_INNER: Final = r"[^<>{}\[\]%/?#\s]{0,64}"
_PLACEHOLDER: Final = re.compile(
    rf"<{_INNER}>|\$?\{{{{1,2}}{_INNER}\}}{{1,2}}|\[[A-Za-z_ -]{{1,64}}\]|\*{{2,}}"
    rf"|%3[Cc]{_INNER}%3[Ee]|%7[Bb]{_INNER}%7[Dd]|%5[Bb]{_INNER}%5[Dd]"
)
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_]+")


def named(address: str) -> str:
    """`address` with the words of its placeholders for names: `/projects/<project-id>/x` is `/projects/project-id/x`.
    What is escaped in any other way stays as it is."""
    return _PLACEHOLDER.sub(lambda match: _NO_NAME.sub("-", unquote(match[0])).strip("-") or "redacted", address)
