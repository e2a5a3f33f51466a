"""Addresses of machines: IP and MAC. A class of its own (`network`): prompts about software are full of them, and most
of them mean no person.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from extproc.recogniser import Entity, PatternDetector, Recogniser, Span, byte_after, byte_before, context

_IPV6_BYTES_MAX: Final = 45
"""INET6_ADDRSTRLEN without its zero."""


def _ipv4(text: bytes, start: int, end: int) -> Iterable[Span]:
    """Four octets in decimal, not a version and no piece of a longer row of numbers."""
    octets = text[start:end].split(b".")
    if any(len(octet) > 1 and octet[:1] == b"0" for octet in octets) or any(int(octet) > 255 for octet in octets):
        return ()
    if byte_before(text, start) in (b".", b"-") or (
        byte_after(text, end) == b"." and text[end + 1 : end + 2].isdigit()
    ):
        return ()
    if byte_after(text, end) == b"-" and text[end + 1 : end + 2].isalpha():
        return ()  # 1.2.3.4-beta
    if context(text, start, bytes_max=10).rstrip(b" :=\"'").endswith((b"version", b"release", b"chapter", b"section")):
        return ()
    return ((start, end, 0.85),)


def _ipv6(text: bytes, start: int, end: int) -> Iterable[Span]:
    """RFC 4291 §2.2: eight groups, or `::` for some; of short ones those that no programming language writes."""
    value = text[start:end].rstrip(b".")
    if value.endswith(b":::") or (value.endswith(b":") and not value.endswith(b"::")):
        value = value[:-1]
    end = start + len(value)
    if b"::" not in value and value.count(b":") != (6 if b"." in value else 7):
        return ()
    if len(value) > _IPV6_BYTES_MAX or byte_before(text, start).isalnum() or byte_after(text, end).isalnum():
        return ()
    try:
        address = ipaddress.IPv6Address(value.decode("ascii"))
    except ValueError:
        return ()
    groups = [group for group in value.split(b":") if group]
    if len(groups) < 2 and value != b"::1":
        return ()
    if len(groups) < 4 and not any(0x30 <= c <= 0x39 for c in value):
        return ()  # `be::ad` is a name in C++
    return ((start, end, 0.85),) if address.packed[:2] != b"\0\0" or value.startswith(b"::") else ()


def _mac(text: bytes, start: int, end: int) -> Iterable[Span]:
    value = text[start:end]
    if (
        value.count(value[2:3]) != 5
        or byte_before(text, start) in (b":", b"-")
        or byte_after(text, end) in (b":", b"-")
    ):
        return ()
    return ((start, end, 0.85),)


DETECTOR: Final = PatternDetector(
    "network",
    "network",
    (
        Entity(
            "IP_ADDRESS",
            "IP address, version 4 or 6",
            (
                Recogniser(r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b", _ipv4, 15),
                Recogniser(
                    r"[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:]*(?:\.[0-9]{1,3}){0,3}",
                    _ipv6,
                    _IPV6_BYTES_MAX,
                    is_whole=True,
                    trigger=r"[0-9A-Fa-f]::|::[0-9A-Fa-f]|(?:[0-9A-Fa-f]:[0-9A-Fa-f]+:)",
                ),
            ),
            form="192.0.2.1, 2001:db8::1",
            presidio=True,
        ),
        Entity(
            "MAC_ADDRESS",
            "MAC address",
            (Recogniser(r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b", _mac, 17),),
            form="00:00:5e:00:53:01",
            presidio=True,
        ),
    ),
)
