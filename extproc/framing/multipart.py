"""A form of fields and files, as one reading only (`multipart/form-data`: RFC 7578; its framing: RFC 2046 §5.1).

    --boundary CRLF
    Content-Disposition: form-data; name="file"; filename="a.wav" CRLF
    Content-Type: audio/wav CRLF
    CRLF
    data CRLF
    --boundary-- [CRLF]

The same rule as `strict_json`: what two parsers could read in two ways is refused, because policy must judge what the
provider will read. So: CRLF only, no text before the first boundary or behind the last, no folded headers, no parts in
parts, no encodings of content, names or charsets but plain UTF-8, no name twice but lists (`name[]`). What is refused
here, no official SDK sends.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any, Final

from extproc.errors import ClientError

PARTS_MAX: Final = 1_024
"""Fields and files in one form; the images API takes 16 files."""
PART_HEADERS_BYTES_MAX: Final = 8 * 1024
"""All headers of one part."""
NAME_BYTES_MAX: Final = 256
"""A field's name."""

# RFC 2046 §5.1.1, without the space, which some parsers strip at its end.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 (RFC 9110 §5.6.2)
_PARAMETER = re.compile(rf';[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\\r\n]|\\.)*+)")[ \t]*')
_MEDIA_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})[ \t]*")
_DISPOSITION = re.compile(r"form-data[ \t]*", re.IGNORECASE)
_HEADER = re.compile(rf"({_TOKEN}):[ \t]*(.*?)[ \t]*")
_TEXT_TYPES = frozenset({"application/json", "application/jsonl", "application/x-ndjson", "application/xml"})
_TEXT_SUFFIXES = ("+json", "+xml")
_LIST_MARK = "[]"


def parse(body: bytes, content_type: str) -> dict[str, Any]:
    """The form in `body` as an object, in the form's order.

    A field is its text. A file is `{"filename", "media_type", "size_bytes"}`, and `"text"` where it is UTF-8 and text
    by its type or name. Names that end in `[]` hold a list, however many there are. `content_type` is the request's
    header.

    Raises `ClientError` `invalid_form` (400), `body_too_large` (413) for more than `PARTS_MAX` parts. Messages never
    quote the form. Time is linear in the body.
    """
    form: dict[str, Any] = {}
    folded: set[str] = set()
    for part in _parts(body, content_type):
        _add(form, folded, part.name, part.value)
    return form


def replace_field(body: bytes, content_type: str, name: str, text: str) -> bytes:
    """`body` with `text` as the field called `name`, every other byte as it was. Errors as `parse`, and `LookupError`
    when there is no such field, or when `text` would end it."""
    boundary = _boundary(content_type)
    if boundary in text.encode():
        raise LookupError("the text holds the form's boundary")
    for part in _parts(body, content_type):
        if part.name == name and type(part.value) is str:
            if part.has_length:
                raise LookupError("the field's length is stated beside it")
            return b"".join((body[: part.begin], text.encode(), body[part.end :]))
    raise LookupError("the form has no such field")


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    value: Any
    begin: int
    end: int
    """Where its data stands in the body."""
    has_length: bool


def _parts(body: bytes, content_type: str) -> list[_Part]:
    delimiter = b"--" + _boundary(content_type)
    if not body.startswith(delimiter + b"\r\n"):
        raise _invalid("it does not begin with its boundary")
    parts: list[_Part] = []
    at = len(delimiter) + 2
    while len(parts) < PARTS_MAX:
        end = body.find(b"\r\n" + delimiter, at)
        if end < 0:
            raise _invalid("its last boundary is missing")
        parts.append(_part(body, at, end))
        at = end + 2 + len(delimiter)
        if body[at : at + 2] != b"\r\n":
            if body[at : at + 4] not in (b"--", b"--\r\n") or len(body) > at + 4:
                raise _invalid("there is something behind one of its boundaries")
            if body.count(delimiter) != len(parts) + 1:  # behind a bare LF it would end a part for some parsers
                raise _invalid("its boundary stands inside of a part")
            return parts
        at += 2
    raise ClientError("body_too_large", f"the form has more than {PARTS_MAX} parts: send less", 413)


_CHARSET_FIELD = "_charset_"
"""RFC 7578 §4.6: a server that obeys it reads the form's text in that charset."""


def _invalid(why: str) -> ClientError:
    return ClientError("invalid_form", f"the form cannot be read in one way only: {why}")


def _boundary(content_type: str) -> bytes:
    found = _MEDIA_TYPE.match(content_type)
    if found is None or found[1].lower() != "multipart/form-data":
        raise _invalid("its content-type is not multipart/form-data")
    parameters = _parameters(content_type, found.end())
    if parameters.pop("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise _invalid("its charset is not UTF-8")
    boundary = parameters.get("boundary", "")
    if len(parameters) != 1 or not _BOUNDARY.fullmatch(boundary):
        raise _invalid("its content-type has no boundary, an unusual one, or other parameters")
    return boundary.encode()


def _parameters(header: str, at: int) -> dict[str, str]:
    parameters: dict[str, str] = {}
    while at < len(header):
        found = _PARAMETER.match(header, at)
        if found is None:
            raise _invalid("the parameters of a header are malformed")
        name = found[1].lower()
        quoted = found[3]
        if quoted is not None and "\\" in quoted:
            raise _invalid("a parameter holds a backslash, which some parsers take for an escape")
        if name in parameters or name.endswith("*"):
            raise _invalid("a header has a parameter twice, or in an encoding of its own")
        parameters[name] = found[2] if quoted is None else quoted
        at = found.end()
    return parameters


def _part(body: bytes, begin: int, end: int) -> _Part:
    """The part in `body[begin:end]`."""
    headers_end = body.find(b"\r\n\r\n", begin, min(end, begin + PART_HEADERS_BYTES_MAX))
    if headers_end < 0:
        raise _invalid("a part's headers are missing, or too long")
    headers = _headers(_text(body[begin:headers_end], "a part's headers are"))
    if headers.pop("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise _invalid("a part is encoded once more")
    disposition = _disposition(headers.pop("content-disposition", ""))
    media_type = _media_type(headers.pop("content-type", None))
    if any(name != "content-length" for name in headers):
        raise _invalid("a part has a header that forms do not have")
    if (length := headers.get("content-length")) is not None and length != str(end - headers_end - 4):
        raise _invalid("a part has another length than it says")
    begin = headers_end + 4
    filename = disposition.get("filename")
    value: Any = (
        _text(body[begin:end], "a field is") if filename is None else _file(body[begin:end], filename, media_type)
    )
    return _Part(disposition["name"], value, begin, end, length is not None)


def _file(data: bytes, filename: str, media_type: str | None) -> dict[str, Any]:
    file: dict[str, Any] = {"filename": filename, "media_type": media_type, "size_bytes": len(data)}
    if _is_text(media_type, filename):
        with contextlib.suppress(ClientError):
            file["text"] = _text(data, "a file is")
    return file


def _headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in text.split("\r\n"):
        found = _HEADER.fullmatch(line)
        if found is None or any(ord(char) < 0x20 and char != "\t" for char in line):
            raise _invalid("a part's headers are malformed")
        name = found[1].lower()
        if name in headers:
            raise _invalid("a part has a header twice")
        headers[name] = found[2]
    return headers


def _disposition(value: str) -> dict[str, str]:
    found = _DISPOSITION.match(value)
    if found is None:
        raise _invalid("a part is not form-data")
    parameters = _parameters(value, found.end())
    if not parameters.keys() <= {"name", "filename"} or not parameters.get("name"):
        raise _invalid("a part has no name, or parameters that forms do not have")
    if len(parameters["name"].encode()) > NAME_BYTES_MAX:
        raise _invalid("a part's name is too long")
    # Browsers and SDKs write a quote or line end as %22, %0D, %0A (RFC 7578 §2; WHATWG HTML): some servers undo that.
    if "%" in parameters["name"]:
        raise _invalid("a part's name holds an escape")
    return parameters


def _media_type(value: str | None) -> str | None:
    if value is None:
        return None
    found = _MEDIA_TYPE.match(value)
    if found is None:
        raise _invalid("a part's content-type is malformed")
    if _parameters(value, found.end()).get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise _invalid("a part's charset is not UTF-8")
    media_type = found[1].lower()
    if media_type.startswith("multipart/"):
        raise _invalid("there are parts in a part")
    return media_type


def _text(data: bytes, what: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid(f"{what} not UTF-8") from None
    if "\0" in text:
        raise _invalid(f"{what} text with a NUL in it")
    return text


_TEXT_NAMES = (".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".html", ".yaml", ".yml", ".log")


def _is_text(media_type: str | None, filename: str) -> bool:
    if media_type is None or media_type == "application/octet-stream":
        return filename.lower().endswith(_TEXT_NAMES)
    return media_type.startswith("text/") or media_type in _TEXT_TYPES or media_type.endswith(_TEXT_SUFFIXES)


def _add(form: dict[str, Any], folded: set[str], name: str, value: Any) -> None:
    if name.endswith(_LIST_MARK):
        items = form.get(name)
        if items is not None:
            items.append(value)
            return
        value = [value]
    if name.casefold() == _CHARSET_FIELD and value not in ("utf-8", "UTF-8", "utf8"):
        raise _invalid("it says that its text is not UTF-8")
    if name.casefold() in folded:
        raise _invalid("a field comes twice, or differs from another one only in case")
    folded.add(name.casefold())
    form[name] = value
