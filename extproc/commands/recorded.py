"""Recorded exchanges as people keep them: folders (request.json, request.body, response.json, response.body) and HAR
files (HTTP Archive 1.2, as browsers and proxies save them). Read as they are: what is missing is None.

`recorded_parts` knows the many ways in which recorders write one thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from extproc.commands.recorded_parts import (
    BODY_FILE_KEYS,
    Unreadable,
    address_of,
    form_type,
    headers_of,
    host_and_port,
    inline_body,
    left_coding,
    method_of,
    said_base64,
    status_of,
    unarmoured,
)
from extproc.errors import OperatorError
from extproc.model import CALL_HINTS, HINT_CHARS_MAX, RESPONSE_HINTS, Call

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of one file."""
DEPTH_MAX: Final = 8
"""Folders in folders, down to a recording."""

_HEADS: Final = ("request.json", "response.json")
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Recorded:
    """One exchange. The content coding that its bodies still have, `call` and `response_encoding` say."""

    id: str
    call: Call
    request_body: bytes = field(repr=False)
    status: int | None
    """None when no response was recorded."""
    response_type: str | None
    response_encoding: str | None
    response_body: bytes = field(repr=False)
    response_hints: Mapping[str, str] = field(default_factory=dict)
    """Those of its headers that the codec is told (`RESPONSE_HINTS`)."""
    port: int | None = None
    """Of the authority, where it names one."""


def recordings(path: Path) -> Iterator[Recorded | tuple[str, Unreadable]]:
    """All exchanges of a folder, of the folders in it, or of a HAR file; (id, why) for each that is none.

    Raises `OperatorError` when `path` is none of these.
    """
    if path.is_dir():
        for folder in _folders(path, DEPTH_MAX):
            yield _kept(folder.name, lambda folder=folder: _from_folder(folder))
    elif path.is_file():
        yield from _from_har(path)
    else:
        raise OperatorError("recordings_missing", f"{path} is neither a folder nor a file")


def _folders(path: Path, depth_left: int) -> Iterator[Path]:
    """`path` when it is a recording; else those in it. A folder with nothing to descend into counts as a broken one."""
    inner = sorted(entry for entry in path.iterdir() if entry.is_dir())
    if not inner or depth_left == 0 or any((path / name).exists() for name in _HEADS):
        yield path
        return
    for folder in inner:
        yield from _folders(folder, depth_left - 1)


def _kept(name: str, load: Any) -> Recorded | tuple[str, Unreadable]:
    try:
        recorded: Recorded = load()
    except Unreadable as error:
        return name, error
    return recorded


# ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _from_folder(folder: Path) -> Recorded:
    request = _object(folder / "request.json")
    response = _object(folder / "response.json") if (folder / "response.json").is_file() else {}
    request_body = _body(folder, "request", request)
    response_body = _body(folder, "response", response)
    if not response_body:  # only the wire was kept
        response_body = _bytes(folder / "response.wire")
    return _recorded(folder.name, request, request_body, response, response_body)


def _body(folder: Path, side: str, head: Mapping[str, Any]) -> bytes:
    """The file beside the head, the one that it names, or what stands in it."""
    names = [name for key in BODY_FILE_KEYS if isinstance(name := head.get(key), str)]
    for name in (f"{side}.body", *names):
        file = folder / Path(name).name  # never outside of the recording
        if file.is_file() and (data := _bytes(file)):
            return unarmoured(data.decode("latin-1")) if said_base64(head) and _is_armour(data) else data
    return inline_body(head) or b""


def _is_armour(data: bytes) -> bool:
    """Base64 is told from what it may have been taken off already: neither JSON nor events begin so."""
    return data.lstrip()[:1].isalnum() and b":" not in data[:64]


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
    if not isinstance(request.get("url"), str):
        raise Unreadable("the entry's request has no url")
    posted, content = _member(request, "postData"), _member(response, "content")
    return _recorded(
        name,
        request,
        _har_text(posted),
        response,
        _har_text(content),
        request_type=posted.get("mimeType"),
        response_type=content.get("mimeType"),
    )


def _member(value: Any, key: str) -> dict[str, Any]:
    member = value.get(key) if isinstance(value, dict) else None
    return member if isinstance(member, dict) else {}


def _har_text(holder: Mapping[str, Any]) -> bytes:
    text = holder.get("text")
    if not isinstance(text, str):
        return b""
    return unarmoured(text) if said_base64(holder) else text.encode("utf-8", "replace")


# ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _recorded(
    name: str,
    request: Mapping[str, Any],
    request_body: bytes,
    response: Mapping[str, Any],
    response_body: bytes,
    *,
    request_type: Any = None,
    response_type: Any = None,
) -> Recorded:
    """`request_type` and `response_type`: what a recorder says beside the headers, where they say none."""
    headers, answered = headers_of(request.get("headers")), headers_of(response.get("headers"))
    authority, path = address_of(request, headers)
    host, port = host_and_port(authority)
    status = status_of(response, answered)
    if status is None and response_body:  # an answer came, so much is certain
        status = _OK
    call = Call(
        method=method_of(request, headers, otherwise="POST" if request_body else "GET"),
        path=path,
        host=host,
        content_type=headers.get("content-type")
        or (request_type if isinstance(request_type, str) and request_type else form_type(request_body)),
        content_encoding=left_coding(request_body, headers.get("content-encoding")),
        hints={name: headers[name][:HINT_CHARS_MAX] for name in CALL_HINTS if name in headers},
    )
    return Recorded(
        id=name,
        call=call,
        request_body=request_body,
        status=status,
        response_type=answered.get("content-type") or (response_type if isinstance(response_type, str) else None),
        response_encoding=left_coding(response_body, answered.get("content-encoding")),
        response_body=response_body,
        response_hints={name: answered[name] for name in RESPONSE_HINTS if name in answered},
        port=port,
    )
