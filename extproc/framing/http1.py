"""Reads one HTTP/1.1 response (RFC 9112) from bytes, incrementally: for small trusted services on a local socket.

    HTTP/1.1 200 OK\\r\\n  header: value\\r\\n …  \\r\\n  body (content-length or chunked)

Sans-IO and three-way: `feed` returns a `Response`, None for "more", or raises `Http1Error`. Only what such a service
sends is understood: a final status, `content-length` or `transfer-encoding: chunked` without trailers. Anything else is
an error rather than a guess, because a misread boundary would give one caller another caller's answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HEAD_BYTES_MAX: Final = 16 * 1024
"""Status line and headers together."""
CHUNK_LINE_BYTES_MAX: Final = 32
"""A chunk's size in hex with its line end; chunk extensions are not understood."""


class Http1Error(Exception):
    """These bytes are no response that we understand. The connection has to be dropped."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    reusable: bool
    """The peer keeps the connection open, and nothing followed the body."""


class ResponseReader:
    """One response; make a new one for the next. Memory is bounded by `body_bytes_max` and the head's limit."""

    __slots__ = ("_body", "_body_bytes_max", "_buffer", "_chunked", "_keep_alive", "_missing", "_status")

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._buffer = bytearray()
        self._body = bytearray()
        self._status: int | None = None
        self._chunked = False
        self._keep_alive = True
        self._missing = 0

    @property
    def started(self) -> bool:
        """True once any byte of the response has come."""
        return self._status is not None or bool(self._buffer)

    def feed(self, data: bytes) -> Response | None:
        """Take the next bytes. Returns the response once it is whole. Raises `Http1Error`."""
        self._buffer += data
        if self._status is None and not self._read_head():
            return None
        whole = self._read_chunks() if self._chunked else self._read_sized()
        if not whole:
            return None
        assert self._status is not None
        return Response(self._status, bytes(self._body), self._keep_alive and not self._buffer)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 and len(self._buffer) <= HEAD_BYTES_MAX:
            return False
        if not 0 <= end <= HEAD_BYTES_MAX:
            raise Http1Error(f"the response's head is larger than {HEAD_BYTES_MAX} bytes")
        status_line, *lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        version, _, rest = status_line.partition(b" ")
        if version != b"HTTP/1.1" or not rest[:3].isdigit() or rest[3:4] not in (b" ", b""):
            raise Http1Error("not an HTTP/1.1 status line")
        headers: dict[bytes, bytes] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            key = name.lower()
            if not colon or not name or name != name.strip():
                raise Http1Error("malformed header line")
            if key in headers and key in (b"content-length", b"transfer-encoding"):
                raise Http1Error("repeated framing header")
            headers[key] = value.strip().lower()
        self._frame(int(rest[:3]), headers)
        return True

    def _frame(self, status: int, headers: dict[bytes, bytes]) -> None:
        """How the body is delimited (RFC 9112 §6.3)."""
        if status < 200 or status in (204, 304):
            raise Http1Error(f"unexpected status {status}")
        if b"content-encoding" in headers:
            raise Http1Error("unexpected content coding")
        length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
        if coding is not None:
            if coding != b"chunked" or length is not None:
                raise Http1Error("unexpected transfer coding")
            self._chunked = True
        elif length is not None and length.isdigit() and len(length) < 16:
            self._expect(int(length))
        else:
            raise Http1Error("the response has no length")
        self._status = status
        self._keep_alive = headers.get(b"connection", b"") != b"close"

    def _expect(self, size: int) -> None:
        self._missing = size
        if len(self._body) + size > self._body_bytes_max:
            raise Http1Error(f"the response is larger than {self._body_bytes_max} bytes")

    def _read_sized(self) -> bool:
        taken = self._buffer[: self._missing]
        self._body += taken
        del self._buffer[: len(taken)]
        self._missing -= len(taken)
        return self._missing == 0

    def _read_chunks(self) -> bool:
        while True:
            if self._missing:
                # The chunk's data and its line end are taken together once both are there.
                if len(self._buffer) < self._missing + 2:
                    return False
                if self._buffer[self._missing : self._missing + 2] != b"\r\n":
                    raise Http1Error("malformed chunk")
                self._body += self._buffer[: self._missing]
                del self._buffer[: self._missing + 2]
                self._missing = 0
            end = self._buffer.find(b"\r\n")
            if end < 0 and len(self._buffer) <= CHUNK_LINE_BYTES_MAX:
                return False
            digits = bytes(self._buffer[:end])
            if not 0 < end <= CHUNK_LINE_BYTES_MAX or digits.strip(b"0123456789abcdefABCDEF"):
                raise Http1Error("malformed chunk size")
            size = int(digits, 16)
            if size == 0:
                # The empty trailer section's line end must be there too, or it would start the next response.
                if len(self._buffer) < end + 4:
                    return False
                if self._buffer[end + 2 : end + 4] != b"\r\n":
                    raise Http1Error("unexpected trailers")
                del self._buffer[: end + 4]
                return True
            del self._buffer[: end + 2]
            self._expect(size)
