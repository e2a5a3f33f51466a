"""Addresses of machines. Those here are reserved for documentation (RFC 5737, 3849, 7042) or well known."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.detectors import network
from extproc.scanner import Scanner
from tests.detectors.marked import found, hits_of, plain

SCANNER = Scanner([network.DETECTOR])

HITS = {
    "IP_ADDRESS": [
        "«192.0.2.1»",
        "at «192.0.2.1», and «192.0.2.255».",
        "http://«192.0.2.1»:8080/x",
        "|«192.0.2.1»|",
        "10 «192.0.2.0»/24",
        "«2001:db8::1»",
        "[«2001:db8:0:0:0:0:0:1»]:443",
        "«fe80::1ff:fe23:4567:890a»%eth0",
        "at «::1».",
        "«::ffff:192.0.2.1»",
        "from «2001:db8::»: nothing",
    ],
    "MAC_ADDRESS": ["«00:00:5e:00:53:01»", "mac «00-00-5E-00-53-FF» ok"],
}
MISSES = [
    "192.0.2.256",
    "192.0.02.1",
    "1.192.0.2.1.5",
    "version 1.2.3.4",
    "lib-1.2.3.4-beta",
    "12:34:56",
    "2026-11-21T12:34:56",
    "std::string a::b c::d",
    "be::ad and fe::de",
    "::",
    "a :: b",
    "x::1y",
    "1:2:3:4:5:6:7:8:9",
    "00:00:5e:00:53",
    "00:00:5e-00:53:01",
    "00:00:5e:00:53:01:02",
    "sha256:00:00:5e:00:53:01",
]


@pytest.mark.parametrize(("entity", "marked"), [(e, t) for e, texts in HITS.items() for t in texts])
def test_an_address_is_found_exactly(entity: str, marked: str) -> None:
    assert found(SCANNER, plain(marked)) == [(entity, hit) for hit in hits_of(marked)]


@pytest.mark.parametrize("text", MISSES)
def test_versions_times_and_code_are_left_alone(text: str) -> None:
    assert found(SCANNER, text) == []


@given(st.ip_addresses(v=4), st.ip_addresses(v=6, network=ipaddress.IPv6Network("2001:db8::/32")))
def test_every_address_in_its_usual_spelling_is_found(four: ipaddress.IPv4Address, six: ipaddress.IPv6Address) -> None:
    assert found(SCANNER, f"from {four} to {six} ") == [("IP_ADDRESS", str(four)), ("IP_ADDRESS", str(six))]
    assert found(SCANNER, f"<{six.exploded}>") == [("IP_ADDRESS", six.exploded)]
