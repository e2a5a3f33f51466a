"""Which bytes a hit may begin with: read by hand, and never narrower than what the patterns themselves make."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.detector import Detector
from extproc.detectors import DETECTORS
from extproc.first_bytes import ALL, UnreadablePatternError, first_bytes
from extproc.recogniser import PatternDetector, Recogniser, always
from tests.detectors import test_identity_numbers, test_injection, test_network, test_pii, test_secrets, test_tokens
from tests.detectors.marked import plain


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", b"a"),
        ("(?i)abc", b"aA"),
        ("(?i:a)b", b"aA"),
        ("(?i)1|b", b"1bB"),
        (r"\bsk-", b"s"),
        ("^a|b$", b"ab"),
        ("a?b", b"ab"),
        ("a*?b+c", b"ab"),
        ("a{0,3}b", b"ab"),
        ("a{2,}b", b"a"),
        ("(?:a|b?)c", b"abc"),
        ("[a-c]x", b"abc"),
        ("[]x-]", b"]x-"),
        (r"[\d_-]x", b"0123456789_-"),
        (r"\+[0-9]", b"+"),
        (r"\n?\ta", b"\n\t"),
        (r"\xe2\x80", b"\xe2"),
        ("é", b"\xc3"),
        ("key=(x|y)z", b"xy"),
        ("key=(?:x)(y)", b"y"),
        (r"key=(\d)", b"0123456789"),
    ],
)
def test_the_beginning_of_a_pattern_is_read(pattern: str, expected: bytes) -> None:
    assert first_bytes(pattern) == frozenset(expected)


def test_a_negated_class_and_a_dot_are_nearly_everything() -> None:
    assert first_bytes("[^a]") == ALL - {0x61}
    assert first_bytes(".") == ALL - {0x0A}
    assert first_bytes("x(a?)") == ALL  # what is reported may be empty, and then nothing is known of it


@pytest.mark.parametrize("pattern", [r"\pL", "(?P<x>a)", "(?=a)", "a)", "(a", "[a", "a{x}", "a{1", "\\"])
def test_what_cannot_be_read_is_an_error_and_holds_back_everywhere(pattern: str) -> None:
    with pytest.raises(UnreadablePatternError):
        first_bytes(pattern)
    assert Recogniser(pattern, always(1), 1).starts() == ALL


PATTERNS = [(detector, index) for detector in DETECTORS for index in range(len(detector.patterns))]


def test_every_pattern_of_ours_is_read() -> None:
    assert len(PATTERNS) > 300
    for detector, index in PATTERNS:
        assert first_bytes(detector.patterns[index].pattern) <= detector.patterns[index].starts


VALUES = [(detector, index) for detector, index in PATTERNS if detector.data_class != "injection"]
"""Those that streams redact. (Hypothesis cannot make texts of some of the others.)"""


@pytest.mark.parametrize(("detector", "index"), VALUES, ids=lambda value: getattr(value, "name", value))
def test_no_text_that_a_pattern_makes_begins_a_hit_elsewhere(detector: Detector, index: int) -> None:
    pattern = detector.patterns[index]

    @given(st.from_regex(pattern.pattern.encode(), fullmatch=True))
    @settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def holds(text: bytes) -> None:
        for hit in detector.scan(text, [index]):
            assert text[hit.start] in pattern.starts
            assert hit.end - hit.start <= pattern.match_bytes_max

    holds()


HITS = (test_pii.HITS, test_identity_numbers.HITS, test_network.HITS)
EXAMPLES = [
    *(plain(text) for hits in HITS for texts in hits.values() for text in texts),
    *(before + secret + after for _, before, secret, after in test_secrets.HITS),
    *(before + secret + ' "' for _, before, secret in test_tokens.CLOUD),
    *test_tokens.TOKENS.values(),
    *test_injection.ORDERS,
    *(text for texts in test_injection.FOREIGN.values() for text in texts),
]


def test_every_hit_of_every_example_begins_where_its_pattern_says() -> None:
    hits = 0
    for text in (example.encode() for example in EXAMPLES):
        for detector in DETECTORS:
            assert isinstance(detector, PatternDetector) or detector.name == "injection"
            for index, pattern in enumerate(detector.patterns):
                for hit in detector.scan(text, [index]):
                    hits += 1
                    assert text[hit.start] in pattern.starts, (hit, pattern)
    assert hits > 350


def test_a_stream_of_plain_words_is_held_back_by_few_patterns_of_keys() -> None:
    """What it is for: a token of an issuer can begin with one byte, seldom with more."""
    tokens = next(detector for detector in DETECTORS if detector.name == "tokens")
    narrow = [pattern for pattern in tokens.patterns if len(pattern.starts) <= 2]
    assert len(narrow) / len(tokens.patterns) > 0.85
