"""Which bytes a hit of a pattern may begin with: what a stream asks before it holds text back.

Reads the part of RE2's syntax that patterns here are written in, and answers for the capturing group where there is
one, since that is what is reported. What it cannot read is an error, so that no pattern is thought narrower than it is.
Case is folded as RE2 does in Latin-1: ASCII letters, and the letters of the upper half.
"""

from __future__ import annotations

from typing import Final

Bytes = frozenset[int]

ALL: Final[Bytes] = frozenset(range(256))
_NOTHING: Final[Bytes] = frozenset()
_DIGITS: Final[Bytes] = frozenset(b"0123456789")
_SPACES: Final[Bytes] = frozenset(b"\t\n\f\r ")
_WORD: Final[Bytes] = _DIGITS | frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_SETS: Final = {
    "d": _DIGITS, "D": ALL - _DIGITS, "s": _SPACES, "S": ALL - _SPACES, "w": _WORD, "W": ALL - _WORD,
}  # fmt: skip
_CONTROLS: Final = {"n": 0x0A, "t": 0x09, "r": 0x0D, "f": 0x0C}
_ZERO_WIDTH: Final = frozenset("bBAz")


class UnreadablePatternError(ValueError):
    """The pattern uses syntax that is not read here."""


def first_bytes(pattern: str) -> Bytes:
    """The bytes that what `pattern` reports may begin with. Raises `UnreadablePatternError`."""
    reader = _Reader(pattern.encode().decode("latin-1"))
    nullable, first = reader.alternatives(fold=False)
    if reader.rest():
        raise UnreadablePatternError(pattern)
    if reader.group is not None:
        nullable, first = reader.group
    return ALL if nullable else first


def _folded(values: Bytes) -> Bytes:
    letters = {value ^ 0x20 for value in values if _is_letter(value) and _is_letter(value ^ 0x20)}
    return values | letters


def _is_letter(value: int) -> bool:
    return chr(value).isalpha() and value not in (0xAA, 0xB5, 0xBA, 0xDF, 0xFF)


class _Reader:
    """Recursive descent; each step answers (may it be empty, what it may begin with)."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self.group: tuple[bool, Bytes] | None = None
        """Of the first capturing group."""

    def rest(self) -> str:
        return self._pattern[self._at :]

    def alternatives(self, *, fold: bool) -> tuple[bool, Bytes]:
        if self._takes("(?i)"):
            fold = True
        nullable, first = self._sequence(fold)
        while self._takes("|"):
            other_nullable, other = self._sequence(fold)
            nullable, first = nullable or other_nullable, first | other
        return nullable, first

    def _sequence(self, fold: bool) -> tuple[bool, Bytes]:
        nullable, first = True, _NOTHING
        while self.rest() and self.rest()[0] not in "|)":
            one_nullable, one = self._repeated(fold)
            if nullable:
                first |= one
            nullable = nullable and one_nullable
        return nullable, first

    def _repeated(self, fold: bool) -> tuple[bool, Bytes]:
        nullable, first = self._atom(fold)
        if self._takes("*") or self._takes("?"):
            nullable = True
        elif self._takes("{"):
            least = self._until("}").partition(",")[0]
            if not least.isdigit():
                raise UnreadablePatternError(self._pattern)
            nullable = nullable or int(least) == 0
        else:
            self._takes("+")
        self._takes("?")  # lazy
        return nullable, first

    def _atom(self, fold: bool) -> tuple[bool, Bytes]:
        if self._takes("(?:"):
            return self._closed(fold)
        if self._takes("(?i:"):
            return self._closed(True)
        if self._takes("(?"):
            raise UnreadablePatternError(self._pattern)
        if self._takes("("):
            inner = self._closed(fold)
            if self.group is None:
                self.group = inner
            return inner
        if self._takes("["):
            values = self._class()
        elif self._takes("^") or self._takes("$"):
            return True, _NOTHING
        elif self._takes("."):
            values = ALL - {0x0A}
        elif self._takes("\\"):
            letter = self._next()
            if letter in _ZERO_WIDTH:
                return True, _NOTHING
            values = self._escape(letter)
        else:
            values = frozenset((ord(self._next()),))
        return False, _folded(values) if fold else values

    def _closed(self, fold: bool) -> tuple[bool, Bytes]:
        inner = self.alternatives(fold=fold)
        if not self._takes(")"):
            raise UnreadablePatternError(self._pattern)
        return inner

    def _escape(self, letter: str) -> Bytes:
        if letter in _SETS:
            return _SETS[letter]
        if letter in _CONTROLS:
            return frozenset((_CONTROLS[letter],))
        if letter == "x":
            return frozenset((int(self._next() + self._next(), 16),))
        if letter.isalnum():
            raise UnreadablePatternError(self._pattern)
        return frozenset((ord(letter),))

    def _class(self) -> Bytes:
        negated = self._takes("^")
        values: set[int] = set()
        begun = False
        while not begun or not self._takes("]"):
            begun = True
            low = self._member()
            if len(low) == 1 and self.rest()[:1] == "-" and self.rest()[1:2] != "]":
                self._takes("-")
                (high,) = self._member()
                (start,) = low
                values |= set(range(start, high + 1))
            else:
                values |= low
        return ALL - values if negated else frozenset(values)

    def _member(self) -> Bytes:
        letter = self._next()
        return self._escape(self._next()) if letter == "\\" else frozenset((ord(letter),))

    def _takes(self, text: str) -> bool:
        if self._pattern.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise UnreadablePatternError(self._pattern)
        self._at += 1
        return self._pattern[self._at - 1]

    def _until(self, end: str) -> str:
        stop = self._pattern.find(end, self._at)
        if stop < 0:
            raise UnreadablePatternError(self._pattern)
        text = self._pattern[self._at : stop]
        self._at = stop + len(end)
        return text
