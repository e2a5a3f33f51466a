"""Recorded exchanges as people keep them: folders (request.json, request.body, response.json, response.body) and HAR
files (HTTP Archive 1.2, as browsers and proxies save them). Read as they are: what is missing is None.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from extproc.errors import OperatorError
from extproc.model import CALL_HINTS, HINT_CHARS_MAX, Call

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of one file."""

Headers = tuple[tuple[str, str], ...]


class Unreadable(Exception):
    """Not a recording; says why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One exchange, response content coding as `response_encoding` says."""

    id: str
    call: Call
    request_body: bytes = field(repr=False)
    status: int | None
    """None when no response was recorded."""
    response_type: str | None
    response_encoding: str | None
    response_body: bytes = field(repr=False)


def recordings(path: Path) -> Iterator[Recorded | tuple[str, Unreadable]]:
    """All exchanges of a folder, a folder of folders, or a HAR file; (id, why) for each that is none.

    Raises `OperatorError` when `path` is none of these.
    """
    if path.is_dir():
        if any((path / name).exists() for name in ("request.json", "response.json")):
            folders = [path]
        else:
            folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
        for folder in folders:
            yield _kept(folder.name, lambda folder=folder: _from_folder(folder))
    elif path.is_file():
        yield from _from_har(path)
    else:
        raise OperatorError("recordings_missing", f"{path} is neither a folder nor a file")


def _kept(name: str, load: Any) -> Recorded | tuple[str, Unreadable]:
    try:
        recorded: Recorded = load()
    except Unreadable as error:
        return name, error
    return recorded


# ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _from_folder(folder: Path) -> Recorded:
    request = _object(folder / "request.json")
    path = request.get("path")
    if not isinstance(path, str) or not path.startswith("/"):
        raise Unreadable("request.json has no path")
    headers = _headers(request.get("headers"))
    host = str(request.get("authority") or headers.get("host") or "")
    response = _object(folder / "response.json") if (folder / "response.json").is_file() else {}
    response_headers = _headers(response.get("headers"))
    body, encoding = _bytes(folder / "response.body"), None
    if not body and (folder / "response.wire").is_file():  # only the wire was kept
        body, encoding = _bytes(folder / "response.wire"), response_headers.get("content-encoding")
    status = response.get("status")
    return Recorded(
        id=folder.name,
        call=_call(str(request.get("method", "POST")), host, path, headers),
        request_body=_bytes(folder / "request.body"),
        status=status if isinstance(status, int) else None,
        response_type=response_headers.get("content-type"),
        response_encoding=encoding,
        response_body=body,
    )


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_limited(path))
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Unreadable(f"{path.name} is not JSON") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{path.name} is not a JSON object")
    return value


def _bytes(path: Path) -> bytes:
    try:
        return _limited(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror}") from None


def _limited(path: Path) -> bytes:
    if path.stat().st_size > FILE_BYTES_MAX:
        raise Unreadable(f"{path.name} is larger than {FILE_BYTES_MAX} bytes")
    return path.read_bytes()


# ── HAR ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _from_har(path: Path) -> Iterator[Recorded | tuple[str, Unreadable]]:
    try:
        log = _object(path).get("log")
    except Unreadable as error:
        raise OperatorError("recordings_missing", f"{path} is no HAR file: {error}") from None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise OperatorError("recordings_missing", f"{path} is no HAR file: it has no log.entries")
    for number, entry in enumerate(entries):
        name = f"{path.stem}#{number}"
        yield _kept(name, lambda name=name, entry=entry: _entry(name, entry))


def _entry(name: str, entry: Any) -> Recorded:
    request, response = _member(entry, "request"), _member(entry, "response")
    url = request.get("url")
    if not isinstance(url, str):
        raise Unreadable("the entry's request has no url")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Unreadable("the entry's url is none") from None
    headers = _har_headers(request.get("headers"))
    posted = _member(request, "postData")
    if "content-type" not in headers and isinstance(posted.get("mimeType"), str):
        headers = {**headers, "content-type": posted["mimeType"]}
    headers.pop("content-encoding", None)  # a HAR holds text: the coding is off
    content = _member(response, "content")
    status = response.get("status")
    kind = _har_headers(response.get("headers")).get("content-type") or content.get("mimeType")
    return Recorded(
        id=name,
        call=_call(str(request.get("method", "GET")), host, parts.path or "/", headers),
        request_body=_har_text(posted),
        status=status if isinstance(status, int) and status > 0 else None,
        response_type=kind if isinstance(kind, str) else None,
        response_encoding=None,
        response_body=_har_text(content),
    )


def _member(value: Any, key: str) -> dict[str, Any]:
    member = value.get(key) if isinstance(value, dict) else None
    return member if isinstance(member, dict) else {}


def _har_text(holder: Mapping[str, Any]) -> bytes:
    text = holder.get("text")
    if not isinstance(text, str):
        return b""
    if holder.get("encoding") == "base64":
        try:
            return base64.b64decode(text)
        except (binascii.Error, ValueError):
            raise Unreadable("a body is not the base64 that it says it is") from None
    return text.encode("utf-8", "replace")


def _har_headers(value: Any) -> dict[str, str]:
    named = (
        [(item.get("name"), item.get("value")) for item in value if isinstance(item, dict)]
        if isinstance(value, list)
        else []
    )
    return {name.lower(): text for name, text in named if isinstance(name, str) and isinstance(text, str)}


# ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _headers(value: Any) -> dict[str, str]:
    """A list of pairs, or an object, by lower-case name."""
    pairs = list(value.items()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return {str(pair[0]).lower(): str(pair[1]) for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2}


def _call(method: str, authority: str, path: str, headers: Mapping[str, str]) -> Call:
    return Call(
        method=method.upper(),
        path=path.partition("?")[0],
        host=authority.rpartition("@")[2].partition(":")[0].lower(),
        content_type=headers.get("content-type"),
        content_encoding=headers.get("content-encoding"),
        hints={name: headers[name][:HINT_CHARS_MAX] for name in CALL_HINTS if name in headers},
    )
