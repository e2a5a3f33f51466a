"""Text that people do not see and models read: Unicode tags, runs of variation selectors and zero-width characters,
letters with zero-width characters between them, direction overrides.

UTF-8: U+E0000 to E007F is F3 A0 80|81 xx; U+FE00 to FE0F is EF B8 80 to 8F; U+E0100 to E01EF is F3 A0 84 to 87 xx; U+200B to 200F,
U+202A to 202E is E2 80 xx; U+2060 to 2064 is E2 81 A0 to A4; U+FEFF is EF BB BF.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from extproc.recogniser import Recogniser, Span, always

_BLACK_FLAG: Final = "\U0001f3f4".encode()
_CANCEL_TAG: Final = "\U000e007f".encode()
_FLAG_TAGS_MAX: Final = 7
"""A flag of a region, as England's, is a black flag, up to six tag letters (ISO 3166-2), and the end tag."""
_RUN_BYTES_MAX: Final = 4096


def _tags(text: bytes, start: int, end: int) -> Iterable[Span]:
    letters = (end - start) // 4
    if letters <= _FLAG_TAGS_MAX and text[:start].endswith(_BLACK_FLAG) and text[start:end].endswith(_CANCEL_TAG):
        return ()
    return ((start, min(end, start + _RUN_BYTES_MAX), 0.95),) if letters >= 3 else ()


def _override(text: bytes, start: int, end: int) -> Iterable[Span]:
    """A direction override turns letters around; between letters of a script that runs that way it is not needed."""
    following = text[end : end + 24]
    return ((start, end, 0.75),) if sum(chr(c).isalpha() for c in following if c < 0x80) >= 4 else ()


_ZERO_WIDTH: Final = r"(?:\xe2\x80[\x8b-\x8d]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xe1\xa0\x8e)"
_SELECTOR: Final = r"(?:\xef\xb8[\x80-\x8f]|\xf3\xa0[\x84-\x87][\x80-\xbf])"

HIDDEN: Final = (
    Recogniser(r"(?:\xf3\xa0[\x80\x81][\x80-\xbf])+", _tags, _RUN_BYTES_MAX, r"\xf3\xa0[\x80\x81]", is_whole=True),
    Recogniser(rf"{_SELECTOR}{{4,1000}}", always(0.95), _RUN_BYTES_MAX, trigger=rf"{_SELECTOR}{{4}}"),
    Recogniser(rf"{_ZERO_WIDTH}{{6,1000}}", always(0.9), _RUN_BYTES_MAX, trigger=rf"{_ZERO_WIDTH}{{6}}"),
    Recogniser(
        rf"[A-Za-z](?:{_ZERO_WIDTH}{{1,3}}[A-Za-z]){{4,200}}",
        always(0.85),
        _RUN_BYTES_MAX,
        trigger=rf"[A-Za-z]{_ZERO_WIDTH}{{1,3}}[A-Za-z]{_ZERO_WIDTH}{{1,3}}[A-Za-z]",
    ),
    Recogniser(r"\xe2\x80[\xad\xae]", _override, 3),
)
