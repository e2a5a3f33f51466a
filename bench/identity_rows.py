"""Made-up rows with identity numbers, for want of a public corpus of them: in sentences as people write them, beside
near misses that must be passed over (a wrong check digit after the same words; an order's number of the same form).

Right and wrong digits are told by the check functions of our own, so these rows measure patterns, context and overlaps,
not the arithmetic: that is compared with published numbers in tests/detectors.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from extproc.checksums import iban_valid, luhn
from extproc.detectors import europe, united_states, world

ROWS_PER_ENTITY = 60


@dataclass(frozen=True, slots=True)
class Kind:
    entity: str
    called: str
    form: str
    """9: a digit; A: a letter; anything else stands for itself."""
    valid: Callable[[bytes], bool]


KINDS = (
    Kind("CREDIT_CARD", "credit card", "4999 9999 9999 9999", luhn),
    Kind("IBAN_CODE", "IBAN", "DE99999999999999999999", iban_valid),
    Kind("UK_NHS", "NHS number", "999 999 9999", europe.nhs_valid),
    Kind("DE_TAX_ID", "Steuer-ID", "99999999999", europe.steuer_id_valid),
    Kind("ES_NIF", "DNI", "99999999A", europe.nif_valid),
    Kind("ES_NIE", "NIE", "X9999999A", europe.nie_valid),
    Kind("PL_PESEL", "PESEL", "99999999999", europe.pesel_valid),
    Kind("SE_PERSONNUMMER", "personnummer", "999999-9999", europe.personnummer_valid),
    Kind("FI_PERSONAL_IDENTITY_CODE", "henkilötunnus", "999999-999A", europe.hetu_valid),
    Kind("AU_TFN", "tax file number", "999 999 999", world.tfn_valid),
    Kind("AU_MEDICARE", "Medicare number", "9999 99999 9", world.medicare_valid),
    Kind("CA_SIN", "social insurance number", "999-999-999", world.sin_valid),
    Kind("IN_AADHAAR", "Aadhaar", "9999 9999 9999", world.aadhaar_valid),
    Kind("SG_NRIC_FIN", "NRIC", "S9999999A", world.nric_valid),
    Kind("ZA_ID_NUMBER", "identity number", "9999999999089", world.za_id_valid),
    Kind("ABA_ROUTING_NUMBER", "routing number", "099999999", united_states.aba_valid),
    Kind("NL_BSN", "BSN", "999999999", europe.bsn_valid),
    Kind("BR_CPF", "CPF", "999.999.999-99", world.cpf_valid),
)  # fmt: skip
SENTENCES = (
    "My {called} is {number}.",
    "{called}: {number}",
    "please check {called} {number} for me",
    '"{called}": "{number}"',
)


def rows() -> Iterator[dict[str, Any]]:
    chance = random.Random(20261121)
    for kind in KINDS:
        for index in range(ROWS_PER_ENTITY):
            sentence = SENTENCES[index % len(SENTENCES)]
            number = _number(kind, chance, right=True)
            text = sentence.format(called=kind.called, number=number)
            start = text.index(number)
            yield {"text": text, "spans": [{"start": start, "end": start + len(number), "type": kind.entity}]}
            wrong = _number(kind, chance, right=False)
            yield {"text": sentence.format(called=kind.called, number=wrong), "spans": []}
            yield {"text": f"order {_number(kind, chance, right=False)} has been shipped", "spans": []}


def _number(kind: Kind, chance: random.Random, *, right: bool) -> str:
    while True:
        number = "".join(
            chance.choice("0123456789") if c == "9" else chance.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") if c == "A" else c
            for c in kind.form
        )
        if number[0] == "0" != kind.form[0]:
            continue  # nobody is given such a number
        if kind.valid(number.translate(str.maketrans("", "", " -.")).encode()) is right:
            return number
