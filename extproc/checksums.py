"""Check digits of cards, accounts and identity numbers, over ASCII bytes without separators. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_DOUBLED: Final = bytes(range(256)).translate(bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9))))
_VALUE: Final = bytes.maketrans(b"0123456789", bytes(range(10)))


def luhn(digits: bytes) -> bool:
    """ISO/IEC 7812-1 annex B over ASCII digits."""
    return (sum(digits[-1::-2].translate(_VALUE)) + sum(digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def weighted(digits: bytes, weights: Sequence[int]) -> int:
    """The sum of digit times weight; digits beyond the weights do not count."""
    return sum(value * weight for value, weight in zip(digits.translate(_VALUE), weights, strict=False))


def iban_valid(compact: bytes) -> bool:
    """ISO 7064 mod 97-10 over an upper-case IBAN without spaces."""
    return int("".join(str(int(chr(c), 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def mod_11_10(digits: bytes) -> bool:
    """ISO 7064 mod 11,10: the German tax id's."""
    product = 10
    for value in digits[:-1].translate(_VALUE):
        product = ((value + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digits[-1] - 0x30


_VERHOEFF_D: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_P: Final = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip
_D: Final = tuple(tuple(map(int, row)) for row in _VERHOEFF_D)
_P: Final = tuple(tuple(map(int, row)) for row in _VERHOEFF_P)


def verhoeff(digits: bytes) -> bool:
    """J. Verhoeff, Error Detecting Decimal Codes (1969): the dihedral group D5."""
    check = 0
    for place, value in enumerate(reversed(digits.translate(_VALUE))):
        check = _D[check][_P[place % 8][value]]
    return check == 0


_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_day(month: int, day: int) -> bool:
    """A day that some year has."""
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]
