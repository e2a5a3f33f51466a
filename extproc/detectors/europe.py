"""Identity, tax and insurance numbers of people in Europe, by the check digits that their issuers publish.

A number whose form many others share (nine bare digits with one check digit: every eleventh number passes) needs a word
before it that says what it is. Entities bear Presidio's names where it has one.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from extproc.checksums import is_day, luhn, mod_11_10, weighted
from extproc.recogniser import Entity, PatternDetector, Recogniser, after_words, code, number

# ── Great Britain and Ireland ────────────────────────────────────────────────────────────────────────────────────────


def nhs_valid(digits: bytes) -> bool:
    """NHS Data Dictionary, NHS NUMBER: mod 11 over ten digits; 10 is never issued."""
    check = 11 - weighted(digits[:9], range(10, 1, -1)) % 11
    return check % 11 == digits[9] - 0x30 if check != 10 else False


_NHS_WORDS: Final = "nhs|national health|patient|health service|nhs_"
_NINO: Final = r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"


def _nino(compact: bytes) -> bool:
    """HMRC, NIM39110: prefixes that are not given out."""
    return compact[:2] not in (b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ")


def pps_valid(compact: bytes) -> bool:
    """Ireland's PPS number: mod 23; a second letter counts nine times (W stood for none)."""
    total = weighted(compact[:7], range(8, 1, -1))
    if len(compact) == 9 and compact[8:] != b"W":
        total += 9 * (compact[8] - 0x40)
    return b"WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == compact[7]


# ── Germany, France, Belgium, the Netherlands, Switzerland, Austria ──────────────────────────────────────────────────


def steuer_id_valid(digits: bytes) -> bool:
    """BZSt: of the first ten digits one comes twice or three times, all others once at most; mod 11,10."""
    repeats = sorted(Counter(digits[:10]).values(), reverse=True)
    return digits[0] != 0x30 and repeats[0] in (2, 3) and repeats[1] == 1 and mod_11_10(digits)


def nir_valid(compact: bytes) -> bool:
    """INSEE: sex, year, month, department, municipality, order, and 97 minus the rest; Corsica is 2A and 2B."""
    number_ = compact[:13].replace(b"2A", b"19", 1) if compact[5:7] == b"2A" else compact[:13]
    number_ = number_.replace(b"2B", b"18", 1) if compact[5:7] == b"2B" else number_
    return number_.isdigit() and 97 - int(number_) % 97 == int(compact[13:])


def rijksregister_valid(digits: bytes) -> bool:
    """Belgium: 97 minus the first nine digits mod 97, with a 2 before them from 2000 on."""
    if not (is_day(int(digits[2:4]), int(digits[4:6]))):
        return False
    check = int(digits[9:])
    return check in (97 - int(digits[:9]) % 97, 97 - int(b"2" + digits[:9]) % 97)


def bsn_valid(digits: bytes) -> bool:
    """Netherlands: the eleven test, the last digit counts minus one."""
    return weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and int(digits) > 0


def ahv_valid(digits: bytes) -> bool:
    """Switzerland: EAN-13 that begins with the country, 756."""
    return digits.startswith(b"756") and (10 - weighted(digits[:12], (1, 3) * 6) % 10) % 10 == digits[12] - 0x30


# ── Spain, Portugal, Italy ───────────────────────────────────────────────────────────────────────────────────────────

_NIF_LETTERS: Final = b"TRWAGMYFPDXBNJZSQVHLCKE"


def nif_valid(compact: bytes) -> bool:
    """Ministerio del Interior: the number mod 23 tells the letter."""
    return _NIF_LETTERS[int(compact[:8]) % 23] == compact[8]


def nie_valid(compact: bytes) -> bool:
    """As the NIF, with X, Y, Z for 0, 1, 2."""
    return _NIF_LETTERS[int(bytes((compact[0] - 0x58 + 0x30,)) + compact[1:8]) % 23] == compact[8]


_CF_DIGITS_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_CF_LETTERS_ODD: Final = (2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
"""K to Z; A to J count as the digits do."""
_CF_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (*_CF_DIGITS_ODD, *_CF_DIGITS_ODD, *_CF_LETTERS_ODD),
        strict=True,
    )
)


def fiscal_code_valid(compact: bytes) -> bool:
    """Decreto ministeriale 23/12/1976: odd places by their table, even ones by value, mod 26."""
    text = compact.decode("ascii")
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in text[1:15:2])
    return (even + sum(_CF_ODD[c] for c in text[0:15:2])) % 26 == ord(text[15]) - 65


_CF_DIGIT: Final = "[0-9LMNP-V]"


def nif_pt_valid(digits: bytes) -> bool:
    """Portugal: mod 11; people's begin with 1, 2, 3 or 45."""
    return (11 - weighted(digits[:8], range(9, 1, -1)) % 11) % 11 % 10 == digits[8] - 0x30 and (
        digits[0] in b"123" or digits[:2] == b"45"
    )


# ── the North ────────────────────────────────────────────────────────────────────────────────────────────────────────


def personnummer_valid(digits: bytes) -> bool:
    """Sweden: a day (plus 60 for co-ordination numbers), Luhn over the last ten digits."""
    if len(digits) == 12 and digits[:2] not in (b"18", b"19", b"20"):
        return False
    ten = digits[-10:]
    day = int(ten[4:6])
    return is_day(int(ten[2:4]), day - 60 if day > 60 else day) and luhn(ten)


def hetu_valid(compact: bytes) -> bool:
    """Finland: a day, a century sign, and the check character of 31."""
    if not is_day(int(compact[2:4]), int(compact[:2])):
        return False
    return b"0123456789ABCDEFHJKLMNPRSTUVWXY"[int(compact[:6] + compact[-4:-1]) % 31] == compact[-1]


def fodselsnummer_valid(digits: bytes) -> bool:
    """Norway: a day (plus 40 for D numbers) and two check digits mod 11."""
    day = int(digits[:2])
    if not is_day(int(digits[2:4]), day - 40 if day > 40 else day):
        return False
    return (
        weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def cpr_valid(digits: bytes) -> bool:
    """Denmark: a day. Its check digit was given up in 2007."""
    return is_day(int(digits[2:4]), int(digits[:2]))


# ── the East ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def pesel_valid(digits: bytes) -> bool:
    """Poland: a birthday of 1900 to 2099, whose century is added to the month; mod 10."""
    month = int(digits[2:4])
    if not (month <= 12 or 21 <= month <= 32) or not is_day(month % 20, int(digits[4:6])):
        return False
    return weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def rodne_cislo_valid(digits: bytes) -> bool:
    """Czechia and Slovakia: a day, 50 (and 20) added to women's months; the last digit is the rest mod 11 mod 10."""
    month = int(digits[2:4])
    if not is_day(month % 50 - 20 if month % 50 > 20 else month % 50, int(digits[4:6])):
        return False
    return int(digits[:9]) % 11 % 10 == digits[9] - 0x30


def cnp_valid(digits: bytes) -> bool:
    """Romania: sex and century, a day, county; mod 11, where 10 is written 1."""
    if not is_day(int(digits[3:5]), int(digits[5:7])):
        return False
    check = weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (1 if check == 10 else check) == digits[12] - 0x30


def egn_valid(digits: bytes) -> bool:
    """Bulgaria: a day, 20 or 40 added to the month by century; mod 11 mod 10."""
    month = int(digits[2:4])
    return is_day(month % 20 if month > 20 else month, int(digits[4:6])) and (
        weighted(digits, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == digits[9] - 0x30
    )


DETECTOR: Final = PatternDetector(
    "europe",
    "pii",
    (
        Entity(
            "UK_NHS",
            "United Kingdom: NHS number (mod 11)",
            (
                Recogniser(r"\b[0-9]{3} [0-9]{3} [0-9]{4}\b", number(nhs_valid, 0.6), 12),
                after_words(r"\b[0-9]{3}-?[0-9]{3}-?[0-9]{4}\b", _NHS_WORDS, number(nhs_valid, 0.9), 12),
            ),
            form="3-3-4 digits",
            presidio=True,
        ),
        Entity(
            "UK_NINO",
            "United Kingdom: National Insurance number",
            (
                Recogniser(rf"\b{_NINO} ?[0-9]{{2}} ?[0-9]{{2}} ?[0-9]{{2}} ?[A-D]\b", code(_nino, 0.85), 13),
                after_words(
                    rf"(?i)\b{_NINO}[ -]?[0-9]{{2}}[ -]?[0-9]{{2}}[ -]?[0-9]{{2}}[ -]?[A-D]\b",
                    "national insurance|nino\\b|ni (?:number|no)|insurance n",
                    code(_nino, 0.9),
                    13,
                ),
            ),
            form="AA 99 99 99 A",
            presidio=True,
        ),
        Entity(
            "IE_PPSN",
            "Ireland: PPS number (mod 23)",
            (after_words(r"(?i)\b[0-9]{7}[A-W][A-IW]?\b", "pps|personal public service", code(pps_valid, 0.9), 9),),
            form="9999999AA",
        ),
        Entity(
            "DE_TAX_ID",
            "Germany: tax identification number (ISO 7064 mod 11,10, one digit repeated)",
            (
                Recogniser(
                    r"\b[1-9][0-9]{10}\b|\b[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}\b", number(steuer_id_valid, 0.7), 14
                ),
            ),
            form="11 digits",
            presidio=True,
        ),
        Entity(
            "FR_NIR",
            "France: social security number (97 minus mod 97)",
            (
                Recogniser(
                    r"\b[1278] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-4][0-9]|[5-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?"
                    r"[0-9]{3} ?[0-9]{2}\b",
                    code(nir_valid, 0.9),
                    21,
                ),
            ),
            form="1 99 99 99 999 999 99",
        ),
        Entity(
            "BE_NATIONAL_NUMBER",
            "Belgium: national register number (mod 97)",
            (
                Recogniser(
                    r"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}[.-][0-9]{2}\b", number(rijksregister_valid, 0.95), 15
                ),
                after_words(
                    r"\b[0-9]{11}\b",
                    "rijksregister|registre national|national|insz|niss",
                    number(rijksregister_valid, 0.8),
                    11,
                ),
            ),
            form="99.99.99-999.99",
        ),
        Entity(
            "NL_BSN",
            "Netherlands: citizen service number (eleven test)",
            (
                after_words(
                    r"\b[0-9]{9}\b|\b[0-9]{4}\.[0-9]{2}\.[0-9]{3}\b|\b[0-9]{3} [0-9]{3} [0-9]{3}\b",
                    "bsn|burgerservice|sofi|citizen service",
                    number(bsn_valid, 0.9),
                    11,
                ),
            ),
            form="9 digits",
        ),
        Entity(
            "CH_AHV",
            "Switzerland: social security number (EAN-13)",
            (
                Recogniser(r"\b756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}\b", number(ahv_valid, 0.95), 16),
                Recogniser(r"\b756[0-9]{10}\b", number(ahv_valid, 0.75), 13),
            ),
            form="756.9999.9999.99",
        ),
        Entity(
            "ES_NIF",
            "Spain: national identity number (mod 23)",
            (Recogniser(r"\b[0-9]{8}[ -]?[TRWAGMYFPDXBNJZSQVHLCKE]\b", code(nif_valid, 0.8), 10),),
            form="99999999A",
            presidio=True,
        ),
        Entity(
            "ES_NIE",
            "Spain: foreigner's identity number (mod 23)",
            (Recogniser(r"\b[XYZ][ -]?[0-9]{7}[ -]?[TRWAGMYFPDXBNJZSQVHLCKE]\b", code(nie_valid, 0.85), 11),),
            form="X9999999A",
            presidio=True,
        ),
        Entity(
            "PT_NIF",
            "Portugal: tax number (mod 11)",
            (
                after_words(
                    r"\b[1-4][0-9]{8}\b|\b[1-4][0-9]{2} [0-9]{3} [0-9]{3}\b",
                    "nif\\b|contribuinte|fiscal",
                    number(nif_pt_valid, 0.85),
                    11,
                ),
            ),
            form="9 digits",
        ),
        Entity(
            "IT_FISCAL_CODE",
            "Italy: codice fiscale (mod 26)",
            (
                Recogniser(
                    rf"(?i)\b[A-Z]{{6}}{_CF_DIGIT}{{2}}[A-EHLMPRST]{_CF_DIGIT}{{2}}[A-Z]{_CF_DIGIT}{{3}}[A-Z]\b",
                    code(fiscal_code_valid, 0.95),
                    16,
                ),
            ),
            form="AAAAAA99A99A999A",
            presidio=True,
        ),
        Entity(
            "SE_PERSONNUMMER",
            "Sweden: personal identity number (a day, Luhn)",
            (
                Recogniser(r"\b(?:19|20)?[0-9]{6}[-+][0-9]{4}\b", number(personnummer_valid, 0.8), 13),
                after_words(
                    r"\b(?:18|19|20)?[0-9]{10}\b",
                    "person(?:al )?(?:nummer|nr|number|identity)|samordning|pnr\\b|personnr",
                    number(personnummer_valid, 0.9),
                    12,
                ),
            ),
            form="YYMMDD-9999",
            presidio=True,
        ),
        Entity(
            "FI_PERSONAL_IDENTITY_CODE",
            "Finland: personal identity code (a day, mod 31)",
            (Recogniser(r"\b[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]\b", code(hetu_valid, 0.95), 11),),
            form="DDMMYY-999A",
            presidio=True,
        ),
        Entity(
            "NO_FODSELSNUMMER",
            "Norway: national identity number (a day, two digits mod 11)",
            (Recogniser(r"\b[0-9]{6} ?[0-9]{5}\b", number(fodselsnummer_valid, 0.8), 12),),
            form="DDMMYY 99999",
        ),
        Entity(
            "DK_CPR",
            "Denmark: personal identification number (a day)",
            (after_words(r"\b[0-9]{6}[- ]?[0-9]{4}\b", "cpr", number(cpr_valid, 0.8), 11),),
            form="DDMMYY-9999",
        ),
        Entity(
            "PL_PESEL",
            "Poland: PESEL (a day, mod 10)",
            (Recogniser(r"\b[0-9]{11}\b", number(pesel_valid, 0.7), 11),),
            form="11 digits",
            presidio=True,
        ),
        Entity(
            "CZ_RODNE_CISLO",
            "Czechia and Slovakia: birth number (a day, mod 11)",
            (
                Recogniser(r"\b[0-9]{6}/[0-9]{4}\b", number(rodne_cislo_valid, 0.8), 11),
                after_words(r"\b[0-9]{10}\b", "rodn|birth number|r[.]?č", number(rodne_cislo_valid, 0.85), 10),
            ),
            form="YYMMDD/9999",
        ),
        Entity(
            "RO_CNP",
            "Romania: personal numeric code (a day, mod 11)",
            (Recogniser(r"\b[1-8][0-9]{12}\b", number(cnp_valid, 0.75), 13),),
            form="13 digits",
        ),
        Entity(
            "BG_EGN",
            "Bulgaria: uniform civil number (a day, mod 11)",
            (after_words(r"\b[0-9]{10}\b", "egn|civil number", number(egn_valid, 0.85), 10, foreign="егн|ЕГН"),),
            form="10 digits",
        ),
    ),
)
