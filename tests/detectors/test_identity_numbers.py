"""Hits and misses of identity numbers. The valid ones are examples that the issuers or python-stdnum publish."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.checksums import is_day, luhn, mod_11_10, verhoeff
from extproc.detectors import europe, united_states, world
from extproc.scanner import Scanner
from tests.detectors.marked import found, hits_of, plain

SCANNER = Scanner([europe.DETECTOR, united_states.DETECTOR, world.DETECTOR])

HITS = {
    "UK_NHS": [
        "NHS number: «943 476 5919»",
        "patient «9434765919»",
        "nhs_number=«943-476-5919»",
        "at «943 476 5919» he",
    ],
    "UK_NINO": ["«AB 12 34 56 C»", "nino: «AB123456C»", "National Insurance «ab123456c» ok"],
    "IE_PPSN": ["PPS number «6433435F»", "ppsn «6433435FW»"],
    "DE_TAX_ID": ["Steuer-ID «36574261809»", "«36 574 261 809»"],
    "FR_NIR": ["n° «2 95 10 99 126 111 93»", "«295109912611193»", "en Corse «2 84 05 2A 126 111 93»"],
    "BE_NATIONAL_NUMBER": ["«85.07.30-033.28»", "rijksregisternummer «85073003328»"],
    "NL_BSN": ["BSN «111222333»", "burgerservicenummer: «1112.22.333»"],
    "CH_AHV": ["AHV «756.9217.0769.85»", "«7569217076985»"],
    "ES_NIF": ["DNI «54362315K»", "«54362315-K»"],
    "ES_NIE": ["«X2482300W»", "NIE X-: «X-2482300-W»"],
    "PT_NIF": ["NIF «123456789»", "contribuinte n.º «123 456 789»"],
    "IT_FISCAL_CODE": ["cf «RCCMNL83S18D969H»", "«rccmnl83s18d969h»"],
    "SE_PERSONNUMMER": ["«880320-0016»", "personnummer «198803200016»", "personal number: «8803200016»"],
    "FI_PERSONAL_IDENTITY_CODE": ["hetu «131052-308T»", "«131052A308T»"],
    "NO_FODSELSNUMMER": ["«15108695088»", "«151086 95088»"],
    "DK_CPR": ["CPR «211062-5629»"],
    "PL_PESEL": ["PESEL «44051401359»", "(«44051401359»)"],
    "CZ_RODNE_CISLO": ["«710319/2745»", "rodné číslo «7103192745»"],
    "RO_CNP": ["CNP «1630615123457»"],
    "BG_EGN": ["ЕГН «7523169263»", "EGN: «7523169263»"],
    "TR_NATIONAL_ID": ["T.C. Kimlik No: «17291716060»", "tckn «17291716060»"],
    "US_ITIN": ["«912-90-3456»", "itin «912 90 3456»", "ITIN: «912903456»"],
    "US_PASSPORT": ["passport «A12345678»", "his passport number is «123456789»"],
    "US_DRIVER_LICENSE": [
        "driver's license number is «2270-66-1551»",
        "Driver license: «F162823540116»",
        "driving licence no. «D1234567»",
        "DL# «A1234567»",
    ],
    "ABA_ROUTING_NUMBER": ["routing number «111000025»", "ABA: «111000025»"],
    "US_BANK_NUMBER": ["bank account «945456787654»", "account number: «12345678»"],
    "US_NPI": ["NPI «1234567893»"],
    "US_MBI": ["«1EG4-TE5-MK73»", "MBI «1EG4TE5MK73»"],
    "MEDICAL_LICENSE": ["DEA «AB1234563»"],
    "CA_SIN": ["SIN «130-692-544»", "social insurance number: «130692544»", "NAS «130 692 544»"],
    "AU_TFN": ["TFN «123 456 782»", "tax file number «123456782»"],
    "AU_MEDICARE": ["«2123 45670 1»", "Medicare: «2123456701»"],
    "IN_AADHAAR": ["«2341 2341 2346»", "«2341-2341-2346»", "aadhaar «234123412346»"],
    "IN_PAN": ["PAN «ACUPA7085R»", "pan: «acupa7085r»"],
    "SG_NRIC_FIN": ["NRIC «S1234567D»", "«s1234567d»"],
    "ZA_ID_NUMBER": ["ID «7503305044089»"],
    "KR_RRN": ["«971013-9019902»".replace("9019902", "1234561"), "born «200101-3000000»"],
    "TH_TNIN": ["«1-1017-00230-70-8»", "Thai ID «1101700230708»"],
    "CN_RESIDENT_ID": ["«11010519491231002X»"],
    "HK_HKID": ["HKID «A123456(3)»"],
    "JP_MY_NUMBER": ["マイナンバー «123456789018»", "My Number: «1234 5678 9018»"],
    "BR_CPF": ["«390.533.447-05»", "CPF «39053344705»", "cpf: «390533447-05»"],
    "CL_RUT": ["«12.531.909-2»", "RUT «12531909-2»"],
    "MX_CURP": ["CURP «BOXW310820HNERXN09»"],
    "UK_PASSPORT": ["passport no. «AB1234567»"],
}

MISSES = {
    "UK_NHS": ["943 476 5918", "9434765919", "tel 943-476-5919", "1943 476 5919"],
    "UK_NINO": ["GB 12 34 56 C", "AB 12 34 56 E", "ab123456c", "QQ123456C"],
    "IE_PPSN": ["PPS 6433435E", "6433435F"],
    "DE_TAX_ID": ["36574261808", "12345678903", "11111111111", "036574261809"],
    "FR_NIR": ["2 95 10 99 126 111 94", "3 95 10 99 126 111 93", "295131099126111"],
    "BE_NATIONAL_NUMBER": ["85.07.30-033.29", "85.13.30-033.28", "85073003328"],
    "NL_BSN": ["111222333", "BSN 111222334", "bsn 0.111222333"],
    "CH_AHV": ["756.9217.0769.84", "757.9217.0769.85"],
    "ES_NIF": ["54362315A", "54362315"],
    "ES_NIE": ["X2482300A", "A2482300W"],
    "IT_FISCAL_CODE": ["RCCMNL83S18D969A", "RCCMNL83Z18D969H"],
    "SE_PERSONNUMMER": ["880320-0017", "881320-0016", "8803200016"],
    "FI_PERSONAL_IDENTITY_CODE": ["131052-308U", "311352-308T"],
    "NO_FODSELSNUMMER": ["15108695087", "35108695088"],
    "DK_CPR": ["211062-5629", "CPR 311362-5629"],
    "PL_PESEL": ["44051401358", "44131401359", "544051401359"],
    "CZ_RODNE_CISLO": ["710319/2746", "711319/2745"],
    "RO_CNP": ["1630615123458", "9630615123457"],
    "TR_NATIONAL_ID": ["17291716060", "tckn 17291716061"],
    "US_ITIN": ["912-66-3456", "812-90-3456", "912903456", "912-93-3456"],
    "US_PASSPORT": ["123456789", "passport photos 12345678901"],
    "US_DRIVER_LICENSE": ["driver's license plates", "license F162823540116", "DL model 1234567"],
    "ABA_ROUTING_NUMBER": ["111000025", "routing 111000024", "routing 991000025"],
    "US_NPI": ["1234567893", "NPI 1234567892"],
    "US_MBI": ["1SG4-TE5-MK73", "0EG4-TE5-MK73"],
    "MEDICAL_LICENSE": ["AB1234563", "DEA AB1234562"],
    "CA_SIN": ["130-692-544", "SIN 130-692-545", "SIN 830-692-544"],
    "AU_TFN": ["123 456 782", "TFN 123 456 783"],
    "AU_MEDICARE": ["2123 45671 1", "7123 45670 1"],
    "IN_AADHAAR": ["2341 2341 2347", "1341 2341 2346", "234123412346", "4111 2341 2341 2346", "2341 2341 2346 1111"],
    "IN_PAN": ["ACUZA7085R", "acupa7085r", "ACUPA708R"],
    "SG_NRIC_FIN": ["S1234567A", "X1234567D"],
    "ZA_ID_NUMBER": ["7503305044088", "1732186800000"],
    "KR_RRN": ["971313-1234567", "971013-1234567"],
    "TH_TNIN": ["1-1017-00230-70-7", "1101700230708"],
    "CN_RESIDENT_ID": ["110105194912310021", "11010519491331002X"],
    "HK_HKID": ["A123456(4)"],
    "JP_MY_NUMBER": ["123456789018", "マイナンバー 123456789017"],
    "BR_CPF": ["390.533.447-06", "39053344705", "111.111.111-11"],
    "CL_RUT": ["12.531.909-3", "12531909-2"],
    "MX_CURP": ["BOXW310820HNERXN08", "BOXW311320HNERXN09"],
    "UK_PASSPORT": ["AB1234567"],
}


@pytest.mark.parametrize(("entity", "marked"), [(e, t) for e, texts in HITS.items() for t in texts])
def test_a_valid_number_is_found_exactly(entity: str, marked: str) -> None:
    assert hits_of(marked)
    assert [(e, hit) for e, hit in found(SCANNER, plain(marked)) if e == entity] == [
        (entity, hit) for hit in hits_of(marked)
    ]


@pytest.mark.parametrize(("entity", "text"), [(e, t) for e, texts in MISSES.items() for t in texts])
def test_a_number_that_was_never_issued_or_that_nobody_names_is_left_alone(entity: str, text: str) -> None:
    assert entity not in {name for name, _ in found(SCANNER, text)}


def test_every_entity_has_hits_here() -> None:
    elsewhere = {"US_SSN"}  # tests/detectors/test_pii.py
    assert set(SCANNER.data_class_of) - elsewhere == set(HITS)


def test_a_context_word_counts_before_a_number_and_not_behind_it() -> None:
    assert found(SCANNER, "123456782 is my TFN") == []
    assert found(SCANNER, "my TFN" + " " * 42 + "123456782") == [("AU_TFN", "123456782")]
    assert found(SCANNER, "my TFN" + " " * 46 + "123456782") == []


@pytest.mark.parametrize(
    ("valid", "number"),
    [
        (luhn, b"4111111111111111"),
        (verhoeff, b"234123412346"),
        (mod_11_10, b"36574261809"),
        (europe.nhs_valid, b"9434765919"),
        (europe.bsn_valid, b"111222333"),
        (europe.nif_valid, b"54362315K"),
        (europe.ahv_valid, b"7569217076985"),
        (world.tfn_valid, b"123456782"),
        (united_states.aba_valid, b"111000025"),
        (united_states.npi_valid, b"1234567893"),
    ],
)
def test_a_check_digit_notices_every_single_wrong_digit(valid: Callable[[bytes], bool], number: bytes) -> None:
    assert valid(number)
    for place in range(len(number)):
        for digit in b"0123456789":
            other = number[:place] + bytes((digit,)) + number[place + 1 :]
            if other != number and not (valid is europe.nif_valid and place == 8):
                assert not valid(other), other


@given(st.integers(0, 10**11 - 1))
def test_verhoeff_notices_neighbours_that_change_places(number: int) -> None:
    digits = next(f"{number:011}{d}".encode() for d in range(10) if verhoeff(f"{number:011}{d}".encode()))
    for place in range(11):
        other = digits[:place] + digits[place + 1 : place + 2] + digits[place : place + 1] + digits[place + 2 :]
        assert verhoeff(other) is (other == digits)


@pytest.mark.parametrize(
    ("month", "day", "is_one"),
    [(2, 29, True), (2, 30, False), (4, 31, False), (12, 31, True), (0, 1, False), (13, 1, False), (1, 0, False)],
)
def test_days_are_those_that_some_year_has(month: int, day: int, is_one: bool) -> None:
    assert is_day(month, day) is is_one
