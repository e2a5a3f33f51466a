"""The hand-written and generated pages, cut into what can be checked: links, headings, fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "envoy/*.md", "helm/**/*.md", "tests/**/*.md", "bench/**/*.md", ".ci/*.md")
    for path in ROOT.glob(pattern)
)

_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block, without the indentation of its fence."""

    page: str
    info: str
    body: str
    line: int

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(info: str, *pages: str) -> list[Block]:
    """The blocks with exactly this info string, of these pages or of all."""
    return [
        block
        for path in PAGES
        if not pages or name_of(path) in pages
        for block in _blocks(path)
        if block.info == info
    ]  # fmt: skip


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent = len(match["indent"])
        body = "\n".join(line[indent:] for line in match["body"].split("\n"))
        yield Block(name_of(path), match["info"].strip(), body, text.count("\n", 0, match.start()) + 1)


def links(path: Path) -> list[str]:
    """Targets of the links outside of code."""
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", path.read_text(encoding="utf-8")))
    return [first or second for first, second in _LINK.findall(text)]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as git hosts make them: lower case, punctuation off, spaces to hyphens."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
