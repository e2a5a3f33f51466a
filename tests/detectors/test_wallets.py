"""Addresses of wallets: those that BIP 173, BIP 350 and the currencies' own documents print."""

from __future__ import annotations

import pytest

from extproc.detectors import wallets
from extproc.detectors.wallets import base58check_valid, bech32_valid
from extproc.scanner import Scanner
from tests.detectors.marked import found

SCANNER = Scanner([wallets.DETECTOR])

VALID = [
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",  # Bitcoin's first block
    "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",  # BIP 173
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",  # BIP 350
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",  # EIP-55
]


@pytest.mark.parametrize("address", VALID)
def test_an_address_is_found_whole(address: str) -> None:
    assert found(SCANNER, f"pay to {address}, please") == [("CRYPTO", address)]
    assert found(SCANNER, f"größe:{address}") == [("CRYPTO", address)]


@pytest.mark.parametrize("address", VALID[:-1])
def test_one_wrong_character_is_noticed(address: str) -> None:
    valid = base58check_valid if address[0] in "13" else bech32_valid
    assert valid(address.encode())
    for place in range(4, len(address)):
        for letter in "29Q" if address.isupper() else "29q":
            other = address[:place] + letter + address[place + 1 :]
            assert other == address or not valid(other.encode())


@pytest.mark.parametrize(
    "text",
    [
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "x1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa_1",
        "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "0x" + "0" * 40,
        "0x" + "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" + "00",
        "1" * 34,
    ],
)
def test_what_is_no_address_is_left_alone(text: str) -> None:
    assert found(SCANNER, text) == []
