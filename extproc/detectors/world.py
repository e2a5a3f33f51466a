"""Identity, tax and health numbers of people outside Europe and the United States, by their issuers' check digits.

As in `europe`: a number whose form many others share needs a word before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from extproc.checksums import is_day, luhn, verhoeff, weighted
from extproc.recogniser import Entity, PatternDetector, Recogniser, Span, after_words, code, number


def _any(_compact: bytes) -> bool:
    return True


# ── Canada, Australia ────────────────────────────────────────────────────────────────────────────────────────────────


def sin_valid(digits: bytes) -> bool:
    """Canada: Luhn; 0 and 8 are not given to people."""
    return digits[0] not in b"08" and luhn(digits)


def tfn_valid(digits: bytes) -> bool:
    """Australian Taxation Office: mod 11."""
    return weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def medicare_valid(digits: bytes) -> bool:
    """Australia: 2 to 6 first, the ninth digit checks the first eight mod 10."""
    return digits[0] in b"23456" and weighted(digits[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == digits[8] - 0x30


# ── Asia, Africa ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _aadhaar_groups(text: bytes, start: int, end: int) -> Iterable[Span]:
    """Three groups of four, and no fourth: that would be a card."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if (before[:1].isdigit() and before[1:] in b" -") or (after[1:].isdigit() and after[:1] in b" -"):
        return ()
    return number(aadhaar_valid, 0.75)(text, start, end)


def aadhaar_valid(digits: bytes) -> bool:
    """UIDAI: twelve digits, the first 2 to 9, Verhoeff; palindromes are not issued."""
    return digits[0] not in b"01" and digits != digits[::-1] and verhoeff(digits)


def nric_valid(compact: bytes) -> bool:
    """Singapore: weighted mod 11, a table of letters for each series (S, T, F, G, M)."""
    series, digits, letter = compact[0], compact[1:8], compact[8]
    total = weighted(digits, (2, 7, 6, 5, 4, 3, 2)) + {0x54: 4, 0x47: 4, 0x4D: 3}.get(series, 0)
    rest = total % 11
    if series in b"ST":
        return b"JZIHGFEDCBA"[rest] == letter
    if series in b"FG":
        return b"XWUTRQPNMLK"[rest] == letter
    return b"KLJNPQRTUWX"[10 - rest] == letter


def za_id_valid(digits: bytes) -> bool:
    """South Africa: a day, citizen or resident, Luhn."""
    return is_day(int(digits[2:4]), int(digits[4:6])) and digits[10] in b"012" and digits[11] in b"89" and luhn(digits)


def rrn_valid(digits: bytes) -> bool:
    """South Korea: a day, sex and century; mod 11 until October 2020, any digit since."""
    if not is_day(int(digits[2:4]), int(digits[4:6])):
        return False
    return (digits[:2] >= b"20" and digits[6] in b"3478") or _rrn_check(digits)


def _rrn_check(digits: bytes) -> bool:
    rest = weighted(digits[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11
    return ((13 if digits[6] in b"5678" else 11) - rest) % 10 == digits[12] - 0x30


def tnin_valid(digits: bytes) -> bool:
    """Thailand: 11 minus (13…2 weighted) mod 11."""
    return (11 - weighted(digits[:12], range(13, 1, -1)) % 11) % 10 == digits[12] - 0x30


def resident_id_valid(compact: bytes) -> bool:
    """China, GB 11643-1999: a day of 1900 to 2099, ISO 7064 mod 11-2."""
    if compact[6:8] not in (b"19", b"20") or not is_day(int(compact[10:12]), int(compact[12:14])):
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return b"10X98765432"[weighted(compact[:17], weights) % 11] == compact[17]


def hkid_valid(compact: bytes) -> bool:
    """Hong Kong: one or two letters, six digits, mod 11 (a missing letter counts 36)."""
    compact = compact.replace(b"(", b"").replace(b")", b"")
    letters = compact[:-7]
    values = [36] * (2 - len(letters)) + [c - 55 for c in letters] + [c - 0x30 for c in compact[-7:-1]]
    last = 10 if compact[-1:] == b"A" else compact[-1] - 0x30
    return (sum(v * w for v, w in zip(values, range(9, 1, -1), strict=True)) + last) % 11 == 0


def my_number_valid(digits: bytes) -> bool:
    """Japan: weights 6…2, 7…2 over eleven digits, mod 11."""
    rest = weighted(digits[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == digits[11] - 0x30


def tckn_valid(digits: bytes) -> bool:
    """Turkey: two check digits over eleven."""
    values = [c - 0x30 for c in digits]
    odd, even = sum(values[0:9:2]), sum(values[1:8:2])
    return values[0] != 0 and (odd * 7 - even) % 10 == values[9] and sum(values[:10]) % 10 == values[10]


# ── Latin America ────────────────────────────────────────────────────────────────────────────────────────────────────


def cpf_valid(digits: bytes) -> bool:
    """Brazil, Receita Federal: two check digits mod 11."""
    first = weighted(digits[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(digits[:10], range(11, 1, -1)) * 10 % 11 % 10
    return first == digits[9] - 0x30 and second == digits[10] - 0x30


def rut_valid(compact: bytes) -> bool:
    """Chile: mod 11 with K for ten."""
    weights = (2, 3, 4, 5, 6, 7, 2, 3)
    return b"0123456789K"[(11 - weighted(compact[:-1][::-1], weights) % 11) % 11] == compact[-1]


_CURP: Final = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ"


def curp_valid(compact: bytes) -> bool:
    """Mexico, RENAPO: a day, 18…2 weighted mod 10."""
    if not is_day(int(compact[6:8]), int(compact[8:10])):
        return False
    total = sum(_CURP.index(chr(c)) * w for c, w in zip(compact[:17], range(18, 1, -1), strict=True))
    return (10 - total % 10) % 10 == compact[17] - 0x30


DETECTOR: Final = PatternDetector(
    "world",
    "pii",
    (
        Entity(
            "CA_SIN",
            "Canada: social insurance number (Luhn), after a word for it",
            (
                after_words(
                    r"\b[1-79][0-9]{2}[- ]?[0-9]{3}[- ]?[0-9]{3}\b",
                    "sin\\b|social insurance|assurance sociale|nas\\b",
                    number(sin_valid, 0.9),
                    11,
                ),
            ),
            form="999-999-999",
            presidio=True,
        ),
        Entity(
            "AU_TFN",
            "Australia: tax file number (mod 11), after a word for it",
            (
                after_words(
                    r"\b[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}\b", "tfn|tax file|tax number", number(tfn_valid, 0.9), 11
                ),
            ),
            form="999 999 999",
            presidio=True,
        ),
        Entity(
            "AU_MEDICARE",
            "Australia: Medicare number (mod 10)",
            (
                Recogniser(r"\b[2-6][0-9]{3}[ -][0-9]{5}[ -][0-9](?:[-/][0-9])?\b", number(medicare_valid, 0.8), 14),
                after_words(r"\b[2-6][0-9]{9,10}\b", "medicare", number(medicare_valid, 0.9), 11),
            ),
            form="9999 99999 9",
            presidio=True,
        ),
        Entity(
            "IN_AADHAAR",
            "India: Aadhaar number (Verhoeff)",
            (
                Recogniser(r"\b[2-9][0-9]{3} [0-9]{4} [0-9]{4}\b", _aadhaar_groups, 14),
                Recogniser(r"\b[2-9][0-9]{3}-[0-9]{4}-[0-9]{4}\b", _aadhaar_groups, 14),
                after_words(r"\b[2-9][0-9]{11}\b", "aadh?aar|uid", number(aadhaar_valid, 0.9), 12),
            ),
            form="9999 9999 9999",
            presidio=True,
        ),
        Entity(
            "IN_PAN",
            "India: permanent account number",
            (
                Recogniser(r"\b[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]\b", code(_any, 0.8), 10),
                after_words(
                    r"(?i)\b[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]\b", "pan\\b|permanent account", code(_any, 0.85), 10
                ),
            ),
            form="AAAPA9999A",
            presidio=True,
        ),
        Entity(
            "SG_NRIC_FIN",
            "Singapore: NRIC or FIN (mod 11)",
            (Recogniser(r"(?i)\b[STFGM][0-9]{7}[A-Z]\b", code(nric_valid, 0.9), 9),),
            form="S9999999A",
            presidio=True,
        ),
        Entity(
            "TR_NATIONAL_ID",
            "Turkey: identity number (two check digits)",
            (after_words(r"\b[1-9][0-9]{10}\b", "tckn|kimlik|t[.]?c[.]? ?no|turkish id", number(tckn_valid, 0.9), 11),),
            form="11 digits",
            presidio=True,
        ),
        Entity(
            "ZA_ID_NUMBER",
            "South Africa: identity number (a day, Luhn)",
            (Recogniser(r"\b[0-9]{10}[0-2][89][0-9]\b", number(za_id_valid, 0.85), 13),),
            form="13 digits",
            presidio=True,
        ),
        Entity(
            "KR_RRN",
            "South Korea: resident or foreigner registration number (a day, mod 11)",
            (Recogniser(r"\b[0-9]{6}-[1-8][0-9]{6}\b", number(rrn_valid, 0.85), 14),),
            form="YYMMDD-9999999",
            presidio=True,
        ),
        Entity(
            "TH_TNIN",
            "Thailand: national identity number (mod 11)",
            (
                Recogniser(r"\b[1-9]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]\b", number(tnin_valid, 0.95), 17),
                after_words(
                    r"\b[1-9][0-9]{12}\b",
                    "thai|tnin",
                    number(tnin_valid, 0.9),
                    13,
                    foreign="เลขประจำตัวประชาชน|เลขบัตรประชาชน",
                    bytes_max=96,
                ),
            ),
            form="9-9999-99999-99-9",
            presidio=True,
        ),
        Entity(
            "CN_RESIDENT_ID",
            "China: resident identity number (a day, mod 11-2)",
            (Recogniser(r"\b[1-9][0-9]{16}[0-9Xx]\b", code(resident_id_valid, 0.95), 18),),
            form="18 characters",
        ),
        Entity(
            "HK_HKID",
            "Hong Kong: identity card number (mod 11)",
            (Recogniser(r"\b[A-Z]{1,2}[0-9]{6}\([0-9A]\)", code(hkid_valid, 0.9), 11),),
            form="A999999(9)",
        ),
        Entity(
            "JP_MY_NUMBER",
            "Japan: My Number (mod 11), after a word for it",
            (
                after_words(
                    r"\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\b",
                    "my number|individual number",
                    number(my_number_valid, 0.9),
                    14,
                    foreign="マイナンバー|個人番号",
                ),
            ),
            form="12 digits",
        ),
        Entity(
            "BR_CPF",
            "Brazil: CPF (two digits mod 11)",
            (
                Recogniser(r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", number(cpf_valid, 0.95), 14),
                after_words(r"\b[0-9]{9}-?[0-9]{2}\b", "cpf|contribuinte", number(cpf_valid, 0.9), 12),
            ),
            form="999.999.999-99",
        ),
        Entity(
            "CL_RUT",
            "Chile: RUN or RUT (mod 11)",
            (
                Recogniser(r"\b[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]\b", code(rut_valid, 0.9), 12),
                after_words(r"\b[0-9]{7,8}-[0-9Kk]\b", "rut\\b|rol único|rol unico", code(rut_valid, 0.85), 10),
            ),
            form="99.999.999-9",
        ),
        Entity(
            "MX_CURP",
            "Mexico: CURP (a day, mod 10)",
            (Recogniser(r"(?i)\b[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[A-Z0-9][0-9]\b", code(curp_valid, 0.95), 18),),
            form="AAAA999999HAAAAA99",
        ),
        Entity(
            "UK_PASSPORT",
            "Passport number of two letters and seven digits, after a word for passports",
            (after_words(r"\b[A-Z]{2}[0-9]{7}\b", "passport|pasaporte|passeport|passaporto", code(_any, 0.7), 9),),
            form="AA9999999",
            presidio=True,
        ),
    ),
)
