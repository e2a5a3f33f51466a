"""Identity, tax, bank and health numbers of people in the United States.

Most of them have no check digit, or share their form with many numbers: those need a word before them that says what
they are. Entities bear Presidio's names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from extproc.checksums import luhn, weighted
from extproc.recogniser import (
    Check,
    Entity,
    PatternDetector,
    Recogniser,
    Span,
    after_words,
    byte_after,
    byte_before,
    code,
    digits_of,
    number,
    stands_alone,
)


def _ssn(text: bytes, start: int, end: int) -> Iterable[Span]:
    """Never issued: areas 000, 666 and 900 up, group 00, serial 0000 (SSA POMS RM 10201.035), and two in adverts."""
    digits = digits_of(text[start:end])
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in (b"000", b"666") or area >= b"900" or group == b"00" or serial == b"0000":
        return ()
    if digits in (b"078051120", b"219099999"):
        return ()
    if byte_before(text, start) in (b"-", b".", b"+", b"/") or byte_after(text, end) in (b"-", b"/"):
        return ()
    return ((start, end, 0.85),)


def _itin(digits: bytes) -> bool:
    """IRS, IRM 3.21.263: fourth and fifth digit 50 to 65, 70 to 88, 90 to 92, 94 to 99."""
    group = int(digits[3:5])
    return digits[0] == 0x39 and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94)


def aba_valid(digits: bytes) -> bool:
    """American Bankers Association: 3-7-1 mod 10, and the Federal Reserve's ranges."""
    first = int(digits[:2])
    return (first <= 12 or 21 <= first <= 32 or 61 <= first <= 72 or first == 80) and (
        weighted(digits, (3, 7, 1) * 3) % 10 == 0 and int(digits) > 0
    )


def npi_valid(digits: bytes) -> bool:
    """CMS: Luhn with the prefix 80840."""
    return luhn(b"80840" + digits)


def dea_valid(compact: bytes) -> bool:
    """DEA registration: (1st+3rd+5th) + twice (2nd+4th+6th), last digit."""
    values = [c - 0x30 for c in compact[2:]]
    return (sum(values[0:5:2]) + 2 * sum(values[1:6:2])) % 10 == values[6]


def _any(_compact: bytes) -> bool:
    return True


def _mixed(score: float) -> Check:
    """At least four digits, and it stands alone: what documents' numbers look like."""

    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        digits = digits_of(text[start:end])
        if len(digits) < 4 or digits.count(digits[:1]) == len(digits) or not stands_alone(text, start, end):
            return ()
        return ((start, end, score),)

    return check


_MBI_LETTER: Final = "[AC-HJKMNP-RT-Y]"
_MBI: Final = (
    rf"(?i)\b[1-9]{_MBI_LETTER}[AC-HJKMNP-RT-Y0-9][0-9]-?{_MBI_LETTER}[AC-HJKMNP-RT-Y0-9][0-9]-?"
    rf"{_MBI_LETTER}{{2}}[0-9]{{2}}\b"
)
_NUMBER_WORD: Final = r"[ \t]*(?:(?:no|nr|num|number|id|#)[.:]?[ \t]*)?(?:is|:|=|#|-)?[ \t]*[\"']?"

DETECTOR: Final = PatternDetector(
    "united_states",
    "pii",
    (
        Entity(
            "US_SSN",
            "United States: social security number",
            (
                Recogniser(r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", _ssn, 11),
                Recogniser(
                    r"(?i)\b(?:ssn|social security)[^0-9\n]{0,24}?([0-9]{3} ?[0-9]{2} ?[0-9]{4})\b",
                    _ssn,
                    11,
                    trigger=r"(?i)\b(?:ssn|social security)",
                ),
            ),
            form="999-99-9999",
            presidio=True,
        ),
        Entity(
            "US_ITIN",
            "United States: individual taxpayer identification number",
            (
                Recogniser(r"\b9[0-9]{2}-[5-9][0-9]-[0-9]{4}\b", number(_itin, 0.85), 11),
                after_words(
                    r"\b9[0-9]{2}[- ]?[5-9][0-9][- ]?[0-9]{4}\b", "itin|tax(?:payer)?", number(_itin, 0.85), 11
                ),
            ),
            form="9xx-99-9999",
            presidio=True,
        ),
        Entity(
            "US_PASSPORT",
            "Passport number of the United States, after a word for passports",
            (after_words(r"\b[A-Z]?[0-9]{8,9}\b", "passport", number(_any, 0.75), 10),),
            form="9 digits, or a letter and 8",
            presidio=True,
        ),
        Entity(
            "US_DRIVER_LICENSE",
            "Driver's licence number, after words for one",
            (
                Recogniser(
                    r"(?i)(?:driver'?s?|driving|operator'?s?)['s]{0,3} (?:licen[sc]e|permit)"
                    + _NUMBER_WORD
                    + r"([A-Z]{0,3}[0-9](?:[ -]?[A-Z0-9]){4,16})\b",
                    _mixed(0.75),
                    40,
                    trigger=r"(?i)(?:driver|driving|operator)",
                ),
                Recogniser(
                    r"(?i)\bDL[ \t]*(?:no|nr|number|#)[.:]?[ \t]*([A-Z]{0,3}[0-9](?:-?[A-Z0-9]){4,16})\b",
                    _mixed(0.7),
                    36,
                ),
            ),
            presidio=True,
        ),
        Entity(
            "ABA_ROUTING_NUMBER",
            "United States: bank routing number (3-7-1), after a word for it",
            (after_words(r"\b[0-9]{9}\b", "aba|routing|rtn\\b|transit", number(aba_valid, 0.85), 9),),
            form="9 digits",
            presidio=True,
        ),
        Entity(
            "US_BANK_NUMBER",
            "United States: bank account number, after words for one",
            (
                after_words(
                    r"\b[0-9]{8,17}\b",
                    "(?:bank|checking|savings|deposit)[ _-](?:account|acct)|(?:account|acct)[ _.]*(?:num|no\\b|#)",
                    number(_any, 0.6),
                    17,
                ),
            ),
            form="8 to 17 digits",
            presidio=True,
        ),
        Entity(
            "US_NPI",
            "United States: national provider identifier (Luhn), after a word for it",
            (after_words(r"\b[12][0-9]{9}\b", "npi|national provider", number(npi_valid, 0.9), 10),),
            form="10 digits",
            presidio=True,
        ),
        Entity(
            "US_MBI",
            "United States: Medicare beneficiary identifier",
            (Recogniser(_MBI, code(_any, 0.8), 13),),
            form="9AA9-AA9-AA99",
            presidio=True,
        ),
        Entity(
            "MEDICAL_LICENSE",
            "United States: DEA registration number (check digit), after a word for it",
            (
                after_words(
                    r"(?i)\b[A-HJ-MPRSTUX][A-Z9][0-9]{7}\b",
                    "dea\\b|prescriber|medical licen|controlled substance",
                    code(dea_valid, 0.85),
                    9,
                ),
            ),
            form="AA9999999",
            presidio=True,
        ),
    ),
)
