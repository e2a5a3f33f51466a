"""Hits and misses of the detectors of personal data. All numbers are published test numbers or made up.

A hit is written `before «the hit» after`: the marks are taken out before scanning, and must be found again.
"""

from __future__ import annotations

import pytest

from extproc.checksums import iban_valid, luhn
from extproc.detectors import pii, united_states
from extproc.scanner import Scanner

SCANNER = Scanner([pii.DETECTOR, united_states.DETECTOR])


def found(text: str) -> list[tuple[str, str]]:
    data = text.encode()
    return [(hit.entity, data[hit.start : hit.end].decode()) for hit in SCANNER.scan(data)]


HITS = {
    "EMAIL_ADDRESS": [
        "write to «jane.doe@example.com», please",
        "«jane+tag@mail.example.co.uk».",
        "<«j_d%x@example.org»>",
        "größe: «a@example.de» … ok",
        "mailto:«jane@example.com»",
        '{"email":"«jane@example.com»"}',
        "_«jane@example.com»_",
        "a..«b@example.com»",
        f"{'x' * 100}{'y' * 64}@example.com".replace("y" * 64, "«" + "y" * 64) + "»",
        "git@github.com:team/repo and «git@example.com» too",
    ],
    "CREDIT_CARD": [
        "card «4111111111111111»",
        "«4111 1111 1111 1111»",
        "«4111-1111-1111-1111», exp 12/29",
        "«5555555555554444» «2223003122003222»",
        "amex «3782 822463 10005» or «371449635398431»",
        "diners «30569309025904»",
        "discover «6011111111111117», jcb «3530111333300000»",
        "card «4111 1111 1111 1111» 123",
        "in 2024 «4111 1111 1111 1111»",
        "1234 2024 «4111 1111 1111 1111» 9999 1234",
        "maestro card «6759649826438453»",
        "old visa card «4222222222222»",
        "a credit card of some shop: «3598899323053410»",  # no issuer's range, a right check digit
    ],
    "IBAN_CODE": [
        "IBAN «GB82 WEST 1234 5698 7654 32» and more",
        "«DE89370400440532013000»",
        "to «fr14 2004 1010 0505 0001 3m02 606», thanks",
        "Konto: «NO93 8601 1117 947».",
        "«SE35 5000 0000 0549 1000 0003» is right",
        "DE12 «GB82WEST12345698765432»",
    ],
    "US_SSN": [
        "SSN «536-22-8726»",
        "(«001-01-0001»)",
        "ssn: «536228726»",
        "my social security number is «536 22 8726».",
    ],
    "PHONE_NUMBER": [
        "«+1 212-555-0123»",
        "ring «+44 20 7946 0958» now",
        "«+41 (0)44 668 18 00»",
        "«+12125550123»",
        "at «(212) 555-0123» or «212.555.0123»",
        "«1-212-555-0123»",
        "«212-555-0123 x459»",
        "tel: «030 1234567»",
        "phone «0688 872 49 99»",
        "Call me: «555 0199»",
        "Mobile … «737 219 628»",
    ],
}

MISSES = {
    "EMAIL_ADDRESS": [
        "git clone git@github.com:team/repo.git",
        "icon@2x.png",
        "lodash@4.17.21",
        "@decorator.method",
        "user@localhost",
        "jane.@example.com",
        "jane@" + "a" * 256 + ".com",
        "https://bob:hunter2@example.com/",
    ],
    "CREDIT_CARD": [
        "4111111111111112",  # the check digit is wrong
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "1234567812345670",  # right check digit, no issuer
        "1732186800000 1732186800000",  # milliseconds
        "id 4222222222222",  # an old Visa or an article number: no word about cards
        "order 6759649826438453",
        "a card for the key 3598899323053410",
        "0.4111111111111111",
        "deadbeef4111111111111111",
        "req_4111111111111111",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "9b74c9897bac770ffc029102a200c5de",
    ],
    "IBAN_CODE": [
        "GB82 WEST 1234 5698 7654 33",  # checksum
        "GB82 WEST 1234 5698 7654",  # too short
        "ZZ89370400440532013000",  # no such country
        "DE89370400440532013000X",  # goes on
        "SE35 5000 0000 0549 1000 0004",
    ],
    "US_SSN": [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "987-65-4320",
        "123-00-4567",
        "123-45-0000",
        "078-05-1120",
        "219-09-9999",
        "536228726",  # nine digits that nobody called a social security number
        "part 123-45-6789-00",
        "0536-22-8726",
        "2026-11-21",
    ],
    "PHONE_NUMBER": [
        "version 2.10.3 of 192.168.10.200",
        "2026-11-21 12:34:56",
        "1 + 1 = 2, +3 or +12345",
        "+012345678",
        "a+12125550123",
        "isbn 978-3-16-148410-0",
        "550e8400-e29b-41d4-a716-446655440000",
        "order 555 0199",
        "112-555-0123",
        "gpt-4o-mini-2024-07-18",
        "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "telephone lines: 42",
    ],
}


@pytest.mark.parametrize(("entity", "marked"), [(e, t) for e, texts in HITS.items() for t in texts])
def test_what_is_personal_is_found_exactly(entity: str, marked: str) -> None:
    expected = [(entity, piece.partition("»")[0]) for piece in marked.split("«")[1:]]
    assert expected
    assert found(marked.replace("«", "").replace("»", "")) == expected


@pytest.mark.parametrize(("entity", "text"), [(e, t) for e, texts in MISSES.items() for t in texts])
def test_what_only_looks_personal_is_left_alone(entity: str, text: str) -> None:
    assert entity not in {name for name, _ in found(text)}


@pytest.mark.parametrize(
    ("digits", "valid"),
    [
        (b"79927398713", True),  # the example in ISO/IEC 7812-1's literature
        (b"79927398710", False),
        (b"79927398717", False),
        (b"4111111111111111", True),
        (b"0", True),
        (b"18", True),  # 1 doubled is 2, and 8: ten
        (b"81", False),  # 8 doubled is 16, so 7, and 1: eight
    ],
)
def test_luhn_agrees_with_hand_calculations(digits: bytes, valid: bool) -> None:
    assert luhn(digits) is valid


def test_every_card_with_one_wrong_digit_fails_luhn() -> None:
    card = b"4111111111111111"
    for place in range(len(card)):
        for digit in b"0123456789":
            other = card[:place] + bytes((digit,)) + card[place + 1 :]
            assert luhn(other) is (other == card)


@pytest.mark.parametrize(
    ("iban", "valid"),
    [(b"GB82WEST12345698765432", True), (b"GB82WEST12345698765423", False), (b"DE89370400440532013000", True)],
)
def test_iban_check_digits_agree_with_published_examples(iban: bytes, valid: bool) -> None:
    assert iban_valid(iban) is valid


@pytest.mark.parametrize("text", ["4" * 5000, "1 " * 3000, "4111 1111 1111 1112 " * 300, "GB82" * 1000, "+1" * 3000])
def test_long_runs_of_nothing_are_no_hits(text: str) -> None:
    assert found(text) == []
