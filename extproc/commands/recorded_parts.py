"""What recorders write in one place in many ways: headers, an address, a status, a body. Read for what is meant.

headers   {"Host": "…"} | {"Host": ["…"]} | [["Host", "…"]] | [{"name": "Host", "value": "…"}]
address   authority and path | a `host` header and path | "https://host/path?query" as `url`, `uri` or `path`
status    200 | "200" | "200 OK" | {"code": 200, "message": "OK"}
body      a file beside | `body_file` with its name | `body`: text, JSON, {"string": "…"}, base64 where it says so
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from extproc.commands import placeholders

BODY_FILE_KEYS: Final = ("body_file", "bodyFile", "body_path", "bodyPath")
_URL_KEYS: Final = ("url", "uri", "path", "target", "raw_url")
_HOST_KEYS: Final = ("authority", ":authority", "host", "hostname")
_METHOD_KEYS: Final = ("method", ":method", "http_method")
_STATUS_KEYS: Final = ("status", "status_code", "statusCode", "code")
_BASE64_BODY_KEYS: Final = ("body_base64", "body_b64", "bodyBase64", "base64_body", "base64_string")
_STATUS: Final = re.compile(r"(?:HTTP/[0-9.]+ +)?([1-5][0-9]{2})(?: .*)?")
_MAGIC: Final = ((b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_SLASHES: Final = re.compile(r"//+")
_BOUNDARY: Final = re.compile(rb"--([^\r\n]{1,70})\r\n")
_HEAD_BYTES: Final = 256
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CUT_CHARACTER_BYTES: Final = 3


class Unreadable(Exception):
    """Not a recording; says why."""


def headers_of(value: Any) -> dict[str, str]:
    """By lower-case name; a name that comes twice has its values joined (RFC 9110 §5.3)."""
    found: dict[str, str] = {}
    for name, said in _pairs(value):
        for text in said if isinstance(said, list) else [said]:
            if isinstance(name, str) and isinstance(text, str | int):
                key = name.strip().lower()
                found[key] = f"{found[key]}, {text}" if key in found else str(text)
    return found


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    pairs: list[tuple[Any, Any]] = []
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            pairs.append((item.get("name", item.get("key")), item.get("value")))
        elif isinstance(item, list) and len(item) == 2:
            pairs.append((item[0], item[1]))
    return pairs


def method_of(request: Mapping[str, Any], headers: Mapping[str, str], *, otherwise: str) -> str:
    """In capitals."""
    said = _first_text(request, _METHOD_KEYS) or headers.get(":method") or otherwise
    return said.strip().upper()


def address_of(request: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[str, str]:
    """(authority, path without query, slashes merged as Envoy merges them). Raises `Unreadable` without a path."""
    url = _first_text(request, _URL_KEYS) or headers.get(":path", "")
    if not url:
        raise Unreadable("the request has no path")
    url = placeholders.named(url)
    parts = _split(url if "://" in url else f"///{url.removeprefix('/')}")
    authority = parts.netloc or placeholders.named(_first_text(request, _HOST_KEYS))
    path = _SLASHES.sub("/", parts.path) or "/"
    return authority or headers.get(":authority") or headers.get("host", ""), path


def host_and_port(authority: str) -> tuple[str, int | None]:
    """(host in small letters, the port that is named)."""
    parts = _split(f"//{authority}")
    try:
        return parts.hostname or "", parts.port
    except ValueError:
        return parts.hostname or "", None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise Unreadable("the request's url is none") from None


def form_type(body: bytes) -> str | None:
    """The content type of a form whose recorder left it out, by its first line; None for what is no form."""
    boundary = _BOUNDARY.match(body)
    return None if boundary is None else f'multipart/form-data; boundary="{boundary[1].decode("latin-1")}"'


def status_of(response: Mapping[str, Any], headers: Mapping[str, str]) -> int | None:
    """None where nobody says one."""
    said = next((response[key] for key in _STATUS_KEYS if response.get(key) is not None), headers.get(":status"))
    if isinstance(said, dict):
        said = said.get("code")
    if isinstance(said, str) and (named := _STATUS.fullmatch(said.strip())) is not None:
        said = int(named[1])
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else None


def inline_body(holder: Mapping[str, Any]) -> bytes | None:
    """The body that stands in the recording itself; None where there is none. Raises `Unreadable` for base64 that is
    none."""
    for key in _BASE64_BODY_KEYS:
        if isinstance(text := holder.get(key), str):
            return unarmoured(text)
    body = holder.get("body")
    is_base64 = said_base64(holder)
    if isinstance(body, dict) and (is_base64 or body.keys() & {"string", "base64_string", "encoding"}):
        if isinstance(text := body.get("base64_string"), str):
            return unarmoured(text)
        is_base64 = is_base64 or said_base64(body)
        body = body.get("string", body.get("text", body.get("data")))
    if body is None:
        return None
    if not isinstance(body, str):
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return unarmoured(body) if is_base64 else body.encode("utf-8", "replace")


def said_base64(holder: Mapping[str, Any]) -> bool:
    """Does the recorder say that the body beside this is base64?"""
    said = holder.get("encoding") or holder.get("body_encoding") or holder.get("bodyEncoding")
    return said == "base64" or holder.get("is_base64") is True or holder.get("base64") is True


def unarmoured(text: str) -> bytes:
    """Raises `Unreadable` when it is no base64."""
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        raise Unreadable("a body is not the base64 that it says it is") from None


def left_coding(body: bytes, said: str | None) -> str | None:
    """The content coding that `body` still has. Recorders keep the header and store the bytes decoded, or strip the
    header and store them as they came: so the bytes are asked first. `said` is the `content-encoding` header."""
    for magic, name in _MAGIC:
        if body.startswith(magic):
            return said if name in (said or "").lower() else name
    return None if not said or _is_text(body[:_HEAD_BYTES]) else said


def _is_text(head: bytes) -> bool:
    """Nothing that a coding makes of JSON or of events reads as UTF-8 without control characters for long."""
    for cut in range(_CUT_CHARACTER_BYTES + 1):
        try:
            return _CONTROLS.search(head[: len(head) - cut].decode()) is None
        except UnicodeDecodeError:
            if len(head) < _HEAD_BYTES:
                return False
    return False


def _first_text(holder: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((text for key in keys if isinstance(text := holder.get(key), str) and text), "")
