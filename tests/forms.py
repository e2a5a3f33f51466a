"""Forms with no reading, or with two: for the parser's own tests, and for those that send them through Envoy."""

from __future__ import annotations

from extproc.framing.multipart import NAME_BYTES_MAX

BOUNDARY = "7d3c-boundary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form_of(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    delimiter = b"--" + BOUNDARY.encode()
    return b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + end


def field_part(name: str, text: bytes, *headers: bytes) -> bytes:
    lines = [f'Content-Disposition: form-data; name="{name}"'.encode(), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + text


def file_part(name: str, filename: str, data: bytes, media_type: bytes | None = b"audio/wav") -> bytes:
    lines = [f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'.encode()]
    if media_type is not None:
        lines.append(b"Content-Type: " + media_type)
    return b"\r\n".join(lines) + b"\r\n\r\n" + data


UNPLAIN_TYPES = (
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary=" "',
    f"multipart/mixed; boundary={BOUNDARY}",
    f"multipart/form-data; boundary={BOUNDARY}; boundary=other",
    f"multipart/form-data; boundary*=utf-8''{BOUNDARY}",
    f"multipart/form-data; boundary={BOUNDARY}; charset=utf-16",
    f"multipart/form-data; boundary={BOUNDARY}, text/plain",
    f"multipart/form-data; boundary={BOUNDARY}; x=y",
    f"multipart/form-data; boundary={'b' * 71}",
    "multipart/form-data; boundary=grün",
    "application/json",
    "",
)
"""Content types without one plain boundary; of the form `a=1`."""

AMBIGUOUS_FORMS = (
    b"",
    b"--" + BOUNDARY.encode() + b"--",
    b"preamble\r\n" + form_of(field_part("a", b"1")),
    b"\r\n" + form_of(field_part("a", b"1")),
    form_of(field_part("a", b"1"), end=b"--\r\nepilogue"),
    form_of(field_part("a", b"1"), end=b"--\r\n\r\n"),
    form_of(field_part("a", b"1"), end=b"-- \r\n"),
    form_of(field_part("a", b"1"), end=b""),
    form_of(field_part("a", b"1"), end=b"--")[:-1],
    form_of(field_part("a", b"1")).replace(b"\r\n", b"\n"),
    form_of(field_part("a", b"1\n--" + BOUNDARY.encode() + b"\nContent-Disposition: form-data; name=b\n\n2")),
    form_of(field_part("a", b"1\r--" + BOUNDARY.encode() + b"--")),
    form_of(field_part("a", b"1\r\n--" + BOUNDARY.encode() + b"x")),
    form_of(field_part("a", b"1"), field_part("a", b"2")),
    form_of(field_part("model", b"1"), field_part("Model", b"2")),
    form_of(field_part("a", b"1"), file_part("a", "f", b"2")),
    form_of(b"Content-Disposition: form-data\r\n\r\n1"),
    form_of(b'Content-Disposition: form-data; name=""\r\n\r\n1'),
    form_of(b'Content-Disposition: attachment; name="a"\r\n\r\n1'),
    form_of(b'Content-Type: text/plain\r\n\r\n1'),
    form_of(b"\r\n1"),
    form_of(b"1"),
    form_of(b'Content-Disposition: form-data; name="a"; name="b"\r\n\r\n1'),
    form_of(b"Content-Disposition: form-data; name=\"a\"; filename*=utf-8''x\r\n\r\n1"),
    form_of(b"Content-Disposition: form-data; name=\"a\"; filename=x; filename*=utf-8''y\r\n\r\n1"),
    form_of(b'Content-Disposition: form-data; name="a\\"b"\r\n\r\n1'),
    form_of(b'Content-Disposition: form-data; name="a%22b"\r\n\r\n1'),
    form_of(b'Content-Disposition: form-data; name="a\x00"\r\n\r\n1'),
    form_of(b'Content-Disposition: form-data; name="a\nb"\r\n\r\n1'),
    form_of(b'Content-Disposition: form-data;\r\n name="a"\r\n\r\n1'),
    form_of(b'Content-Disposition : form-data; name="a"\r\n\r\n1'),
    form_of(b'Content-Disposition: form-data; name="a\xff"\r\n\r\n1'),
    form_of(field_part("a" * (NAME_BYTES_MAX + 1), b"1")),
    form_of(field_part("a", b"1", b'Content-Disposition: form-data; name="b"')),
    form_of(field_part("a", b"1", b"Content-Transfer-Encoding: base64")),
    form_of(field_part("a", b"1", b"Content-Transfer-Encoding: quoted-printable")),
    form_of(field_part("a", b"1", b"Content-Type: text/plain; charset=utf-7")),
    form_of(field_part("a", b"1", b"Content-Type: multipart/mixed; boundary=x")),
    form_of(field_part("a", b"1", b"Content-Type: what")),
    form_of(field_part("a", b"1", b"Content-Length: 2")),
    form_of(field_part("a", b"1", b"X-Other: 1")),
    form_of(field_part("a", b"1", b"Content-Type: text/plain; x=" + b"y" * 9_000)),
    form_of(field_part("a", b"\xff")),
    form_of(field_part("a", b"a\x00b")),
)  # fmt: skip
"""Bodies of the content type `TYPE`."""
