"""Addresses of crypto wallets, by their checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from extproc.recogniser import Entity, PatternDetector, Recogniser, Span, token_end, token_start

_BASE58: Final = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUE: Final = {letter: value for value, letter in enumerate(_BASE58)}
_VERSIONS: Final = frozenset((0x00, 0x05, 0x30, 0x32, 0x1E, 0x41))
"""Bitcoin (P2PKH, P2SH), Litecoin, Dogecoin, Tron."""

_BECH32: Final = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_VALUE: Final = {letter: value for value, letter in enumerate(_BECH32)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CONSTANTS: Final = (1, 0x2BC830A3)
"""BIP 173 (bech32) and BIP 350 (bech32m)."""


def base58check_valid(address: bytes) -> bool:
    """Version, twenty bytes, four bytes of a double SHA-256."""
    number = 0
    for letter in address:
        number = number * 58 + _BASE58_VALUE[letter]
    if number >> 200:
        return False
    raw = number.to_bytes(25, "big")
    if raw[0] not in _VERSIONS or len(address) - len(address.lstrip(b"1")) != 25 - len(raw.lstrip(b"\0")):
        return False
    return hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def bech32_valid(address: bytes) -> bool:
    """BIP 173 §Checksum, over the prefix before the last `1` and what follows it."""
    if address.lower() != address and address.upper() != address:
        return False
    prefix, _, data = address.lower().rpartition(b"1")
    values = [c >> 5 for c in prefix] + [0] + [c & 31 for c in prefix]
    check = 1
    for value in (*values, *(_BECH32_VALUE.get(c, 32) for c in data)):
        if value == 32:
            return False
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check in _CONSTANTS


def _base58(text: bytes, start: int, end: int) -> Iterable[Span]:
    if not (token_start(text, start) and token_end(text, end)) or not base58check_valid(text[start:end]):
        return ()
    return ((start, end, 0.95),)


def _bech32(text: bytes, start: int, end: int) -> Iterable[Span]:
    if not (token_start(text, start) and token_end(text, end)) or not bech32_valid(text[start:end]):
        return ()
    return ((start, end, 0.95),)


def _ethereum(text: bytes, start: int, end: int) -> Iterable[Span]:
    """Twenty bytes in hexadecimal. The checksum of EIP-55 is in the case of its letters and needs Keccak, which Python
    does not have; an address that is mistyped is somebody's nearly all the same."""
    digits = text[start + 2 : end].lower()
    if not (token_start(text, start) and token_end(text, end)) or len(set(digits)) < 6:
        return ()
    return ((start, end, 0.85),)


DETECTOR: Final = PatternDetector(
    "wallets",
    "pii",
    (
        Entity(
            "CRYPTO",
            "Address of a wallet: Bitcoin, Litecoin, Dogecoin, Tron (base58check, bech32, bech32m), Ethereum",
            (
                Recogniser(r"\b[13LMDT][1-9A-HJ-NP-Za-km-z]{25,34}\b", _base58, 35, is_whole=True),
                Recogniser(
                    r"\b(?:bc|ltc|tb)1[02-9ac-hj-np-z]{20,87}\b",
                    _bech32,
                    91,
                    trigger=r"\b(?:bc|ltc|tb)1[02-9ac-hj-np-z]{8}",
                ),
                Recogniser(
                    r"\b(?:BC|LTC|TB)1[02-9AC-HJ-NP-Z]{20,87}\b",
                    _bech32,
                    91,
                    trigger=r"\b(?:BC|LTC|TB)1[02-9AC-HJ-NP-Z]{8}",
                ),
                Recogniser(r"\b0x[0-9A-Fa-f]{40}\b", _ethereum, 42),
            ),
            form="1…, 3…, bc1…, 0x…",
            presidio=True,
        ),
    ),
)
