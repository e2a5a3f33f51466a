"""The HTTP/1.1 response reader: whole, byte by byte, split anywhere, and refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.framing.http1 import HEAD_BYTES_MAX, Http1Error, Response, ResponseReader

SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n"
)  # fmt: skip
CASES = [
    (SIZED, Response(200, b"hello", reusable=True)),
    (CHUNKED, Response(200, b"hello 0123456789", reusable=True)),
    (b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}", Response(500, b"{}", reusable=True)),
    (b"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", Response(200, b"", reusable=True)),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", Response(200, b"x", reusable=False)),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", Response(200, b"", reusable=True)),
]


def read(data: bytes, cuts: list[int], body_bytes_max: int = 1000) -> Response | None:
    reader = ResponseReader(body_bytes_max)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    response = None
    for start, end in itertools.pairwise(edges):
        assert response is None or start == end, "there was a response before its last byte"
        response = reader.feed(data[start:end]) if start < end else response
    return response


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_a_response_is_read_whole_and_byte_by_byte(data: bytes, expected: Response) -> None:
    assert read(data, []) == expected
    assert read(data, list(range(len(data)))) == expected


@given(st.sampled_from(CASES), st.lists(st.integers(0, 200), max_size=6))
@settings(max_examples=150, deadline=None)
def test_where_it_is_split_makes_no_difference(case: tuple[bytes, Response], cuts: list[int]) -> None:
    assert read(case[0], cuts) == case[1]


@pytest.mark.parametrize("data", [SIZED, CHUNKED])
def test_bytes_after_the_response_make_the_connection_unusable(data: bytes) -> None:
    response = ResponseReader(1000).feed(data + b"H")
    assert response is not None
    assert not response.reusable


@pytest.mark.parametrize("data", [SIZED, CHUNKED])
def test_anything_less_is_not_a_response_yet(data: bytes) -> None:
    for size in range(len(data)):
        assert read(data[:size], []) is None


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 abc\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x00" * (HEAD_BYTES_MAX + 10),
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        HEAD + b"\r\n",  # until the connection closes: no way to tell a cut answer from a whole one
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"content-length: 1_0\r\n\r\n",
        HEAD + b"content-length: 99999999999999999999\r\n\r\n",
        HEAD + b"content-length: 1001\r\n\r\n",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        HEAD + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n",
        HEAD + b"content-encoding: gzip\r\ncontent-length: 1\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"content-length : 1\r\n\r\n",
        HEAD + b" folded: 1\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"0" * 64,
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhelloXX",
        HEAD + b"transfer-encoding: chunked\r\n\r\n3e9\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nTrailer: 1\r\n\r\n",
    ],
)
def test_what_is_not_understood_is_an_error_not_a_guess(data: bytes) -> None:
    with pytest.raises(Http1Error):
        ResponseReader(1000).feed(data)


def test_many_small_chunks_are_bounded_by_their_sum() -> None:
    reader = ResponseReader(1000)
    reader.feed(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    for _ in range(1000):
        assert reader.feed(b"1\r\nx\r\n") is None
    with pytest.raises(Http1Error, match="larger than 1000 bytes"):
        reader.feed(b"1\r\nx\r\n")


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_response_an_error_or_not_enough(data: bytes) -> None:
    for start in (b"", HEAD, HEAD + b"transfer-encoding: chunked\r\n\r\n"):
        try:
            response = ResponseReader(100).feed(start + data)
        except Http1Error:
            continue
        assert response is None or len(response.body) <= 100
