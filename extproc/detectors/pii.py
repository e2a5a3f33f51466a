"""Personal data with a form of its own that is no national number: addresses, telephones, cards, accounts.

Entities bear Presidio's names. Names and addresses of people need language understanding and are not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import re2

from extproc.checksums import iban_valid, luhn
from extproc.recogniser import (
    CONTEXT_BYTES,
    Entity,
    PatternDetector,
    Recogniser,
    Span,
    byte_after,
    byte_before,
    context,
    digits_of,
    options,
)

_ALNUM: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def _context_words(words: str) -> re2._Regexp:
    return re2.compile(rf"(?i)\b(?:{words})".encode(), options())


# ── e-mail addresses ─────────────────────────────────────────────────────────────────────────────────────────────────

_FILE_ENDINGS: Final = frozenset(
    b"png jpg jpeg gif svg webp ico css scss js mjs jsx ts tsx json html htm xml yaml yml toml txt pdf zip gz".split()
)
"""`icon@2x.png` is a file name."""


def _email(text: bytes, start: int, end: int) -> Iterable[Span]:
    """RFC 5321 §4.5.3.1: at most 64 bytes before the @ and 255 after it. More before it is text that runs into it."""
    at = text.index(b"@", start, end)
    local, domain = text[max(start, at - 64) : at], text[at + 1 : end]
    local = local.rpartition(b"..")[2].lstrip(b"._%+-")
    if not local or local.endswith(b".") or len(domain) > 255 or byte_after(text, end).isdigit():
        return ()
    if domain.rpartition(b".")[2].lower() in _FILE_ENDINGS:
        return ()
    start = at - len(local)
    if local == b"git" and byte_after(text, end) in (b":", b"/"):
        return ()  # git@host:owner/repository
    if byte_before(text, start) == b":" and b"://" in text[max(0, start - CONTEXT_BYTES) : start].split()[-1]:
        return ()  # scheme://user:password@host
    return ((start, end, 0.9),)


# ── payment cards ────────────────────────────────────────────────────────────────────────────────────────────────────


def _issuer(digits: bytes) -> float:
    """Score by issuer range and length (ISO/IEC 7812, the networks' published ranges); 0 for none.

    Short and rare ranges collide with other numbers and need a word about cards before them: those score 0.4.
    """
    size, two, three, four = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == 0x34 and size in (16, 19):  # Visa
        return 0.95
    if size == 16 and (51 <= two <= 55 or 2221 <= four <= 2720):  # Mastercard
        return 0.95
    if size == 15 and two in (34, 37):  # American Express
        return 0.95
    if 16 <= size <= 19 and (four == 6011 or 644 <= three <= 649 or two in (62, 65) or 3528 <= four <= 3589):
        return 0.95  # Discover, UnionPay, JCB
    if size == 14 and (300 <= three <= 305 or two in (36, 38, 39)):  # Diners Club
        return 0.9
    if (
        (digits[0] == 0x34 and size == 13)  # Visa of old; also a German article number
        or (size == 15 and four in (1800, 2131))  # JCB of old
        or (12 <= size <= 19 and (two in (50, 56, 57, 58, 63, 67)))  # Maestro
    ):
        return 0.4
    return 0.0


_CARD_WORDS: Final = _context_words("card|credit|debit|visa|maestro|amex|mastercard|diners|jcb|cc|pan\\b|account")

_STRONG_CARD_WORDS: Final = _context_words("(?:credit|debit|payment|bank)[ -]?card|card (?:number|no\\b|#)|cc\\b")
"""Enough for a number of no issuer's range: cards of shops and new ranges."""


def _card(text: bytes, start: int, end: int) -> Iterable[Span]:
    digits = text[start:end].translate(None, b" -")
    if digits.count(digits[:1]) == len(digits) or not luhn(digits):
        return ()
    score = _issuer(digits)
    if score < 0.5:
        words = _CARD_WORDS if score else _STRONG_CARD_WORDS
        if words.search(context(text, start)) is None:
            return ()
        score = 0.8 if score else 0.7
    # A decimal fraction, or a piece of a longer token, is no card.
    if byte_before(text, start) in (b".", b"-", b"_") or (byte_after(text, end) in (b"-", b"_")):
        return ()
    return ((start, end, score),)


def _cards_in_groups(text: bytes, start: int, end: int) -> Iterable[Span]:
    """Groups of four digits may begin or go on with other numbers: try each window of four groups (16 digits)."""
    position = start
    while position + 19 <= end:
        hit = tuple(_card(text, position, position + 19))
        yield from hit
        position += 20 if hit else 5


# ── bank accounts ────────────────────────────────────────────────────────────────────────────────────────────────────

_IBAN_COUNTRIES: Final = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
"""Countries by length: SWIFT's IBAN registry (ISO 13616-1)."""
_IBAN_LENGTHS: Final = {country: size for size, countries in _IBAN_COUNTRIES.items() for country in countries.split()}


def _iban(text: bytes, start: int, end: int) -> Iterable[Span]:
    """The pattern saw the first 15 characters, the country says how many there are; groups may be set apart."""
    wanted = _IBAN_LENGTHS[text[start : start + 2].decode("ascii").upper()]
    compact = bytearray(text[start:end].translate(None, b" -"))
    position = end
    while position < len(text) and len(compact) < wanted:
        if text[position] in _ALNUM:
            compact.append(text[position])
        elif text[position] not in b" -" or text[position - 1] not in _ALNUM:
            return ()
        position += 1
    if len(compact) != wanted or (position < len(text) and text[position] in _ALNUM):
        return ()
    return ((start, position, 0.95),) if iban_valid(bytes(compact).upper()) else ()


# ── telephone numbers ────────────────────────────────────────────────────────────────────────────────────────────────

_PHONE_WORDS: Final = (
    r"(?:phone|tel|telephone|mobile|cell|call (?:me|us|him|her|them)|fax|whatsapp|sms|reach (?:me|us)|dial"
    r"|contact (?:me|us|number)|text me|messages? to|texts? to|hotline|my number|desk:|office:)"
)


def _phone_digits(text: bytes, start: int, end: int) -> int:
    return len(digits_of(text[start:end].partition(b"x")[0]))


def _international(text: bytes, start: int, end: int) -> Iterable[Span]:
    """E.164: a plus, at most 15 digits, no country code begins with 0."""
    if byte_before(text, start) in (b"+", b"-", b"=", b"*", b"/", b")") or byte_before(text, start).isalnum():
        return ()
    if byte_after(text, end).isalnum() or text[start + 1] == 0x30 or not 8 <= _phone_digits(text, start, end) <= 15:
        return ()
    return ((start, end, 0.8),)


def _north_american(text: bytes, start: int, end: int) -> Iterable[Span]:
    if byte_before(text, start) in (b"-", b".", b"/", b"_", b"+") or byte_after(text, end) in (b"-", b"/", b"_"):
        return ()
    if byte_after(text, end) == b"." and text[end + 1 : end + 2].isdigit():
        return ()
    return ((start, end, 0.75),)


def _named_phone(text: bytes, start: int, end: int) -> Iterable[Span]:
    """Any national form: the pattern saw a word before it that says what it is."""
    if not 7 <= _phone_digits(text, start, end) <= 14 or byte_after(text, end) in (b"_", b"/"):
        return ()
    return ((start, end, 0.7),)


_EXTENSION: Final = r"(?: ?(?:x|ext\.? ?)[0-9]{1,5})?"

DETECTOR: Final = PatternDetector(
    "pii",
    "pii",
    (
        Entity(
            "EMAIL_ADDRESS",
            "E-mail address",
            (
                Recogniser(
                    r"\b[A-Za-z0-9_][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}",
                    _email,
                    match_bytes_max=64 + 1 + 255,
                    trigger=r"[A-Za-z0-9._%+-]@[A-Za-z0-9]",
                ),
            ),
            form="name@example.com",
            presidio=True,
        ),
        Entity(
            "CREDIT_CARD",
            "Payment card number (issuer's range, Luhn)",
            (
                Recogniser(r"\b[0-9]{12,19}\b", _card, match_bytes_max=19, is_whole=True),
                Recogniser(r"\b[0-9]{4}(?:[ -][0-9]{4}){3,}\b", _cards_in_groups, match_bytes_max=19),
                Recogniser(r"\b3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}\b", _card, match_bytes_max=17),
            ),
            form="12 to 19 digits, in fours",
            presidio=True,
        ),
        Entity(
            "IBAN_CODE",
            "International bank account number (country's length, mod 97)",
            (
                Recogniser(
                    rf"(?i)\b(?:{'|'.join(_IBAN_LENGTHS)})[0-9]{{2}}(?:[ -]?[A-Z0-9]{{4}}){{2}}[ -]?[A-Z0-9]{{3}}",
                    _iban,
                    match_bytes_max=64,
                    trigger=r"\b[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]{4}[ -]?[A-Za-z0-9]{4}",
                ),
            ),
            form="DE99 9999 9999 9999 9999 99",
            presidio=True,
        ),
        Entity(
            "PHONE_NUMBER",
            "Telephone number: international, North American, or any after a word that says so",
            (
                Recogniser(
                    r"\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{1,5}\)?){2,6}" + _EXTENSION,
                    _international,
                    match_bytes_max=64,
                    trigger=r"\+[0-9]",
                ),
                Recogniser(
                    r"(?:\b1[ .-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[.-])[2-9][0-9]{2}[.-][0-9]{4}"
                    + _EXTENSION
                    + r"\b",
                    _north_american,
                    match_bytes_max=32,
                ),
                Recogniser(
                    rf"(?i)\b{_PHONE_WORDS}[^0-9\n]{{0,24}}?"
                    rf"(\(?[0-9]{{2,5}}\)?(?:[ .-]?[0-9]{{2,4}}){{1,4}}{_EXTENSION})\b",
                    _named_phone,
                    match_bytes_max=40,
                    trigger=rf"(?i)\b{_PHONE_WORDS}[^0-9\n]{{0,24}}?\(?[0-9]{{2}}",
                ),
            ),
            form="+1 212-555-0123",
            presidio=True,
        ),
    ),
)
