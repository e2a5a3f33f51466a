"""Recorded exchanges on disk: a folder each, with request.json, request.body, response.json, response.body.

`response.wire` holds the bytes as they were on the wire where a content-encoding was kept. What cannot be read is
skipped, and said.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
    }
)
"""Headers of one connection (RFC 9110 §7.6.1), and the length, which is that of what we send."""
RECORDINGS_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
"""All bodies together; recordings beyond are skipped."""


class Unreadable(Exception):
    """A folder that is not a recording we can serve; says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    id: str
    method: str
    authority: str
    path: str
    request_body: bytes = field(repr=False)
    status: int
    headers: Sequence[tuple[str, str]]
    """Of the response, as they are to be sent."""
    body: bytes = field(repr=False)

    @property
    def content_type(self) -> str:
        return next((value for name, value in self.headers if name.lower() == "content-type"), "")


def load_recording(folder: Path) -> Recording:
    """One folder. Raises `Unreadable`."""
    request, response = _object(folder / "request.json"), _object(folder / "response.json")
    headers = response.get("headers")
    pairs = [
        (str(pair[0]), str(pair[1]))
        for pair in (headers if isinstance(headers, list) else [])
        if isinstance(pair, list) and len(pair) == 2
    ]
    wire = folder / "response.wire"
    encoded = any(name.lower() == "content-encoding" for name, _ in pairs) and wire.is_file()
    status = response.get("status")
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise Unreadable("response.json has no HTTP status between 200 and 599")
    path = request.get("path")
    if not isinstance(path, str) or not path.startswith("/"):
        raise Unreadable("request.json has no path")
    return Recording(
        id=folder.name,
        method=str(request.get("method", "POST")).upper(),
        authority=str(request.get("authority", "")).lower(),
        path=path,
        request_body=_bytes(folder / "request.body"),
        status=status,
        headers=tuple(
            (name, value)
            for name, value in pairs
            if name.lower() not in HOP_BY_HOP
            and (encoded or name.lower() != "content-encoding")
            and "\r" not in name + value
            and "\n" not in name + value
        ),
        body=_bytes(wire) if encoded else _bytes(folder / "response.body"),
    )


def load_recordings(directory: Path) -> tuple[list[Recording], list[str]]:
    """All recordings of a folder, and one line for each that was skipped."""
    recordings, skipped, total = [], [], 0
    for folder in sorted(path for path in directory.iterdir() if path.is_dir()):
        try:
            recording = load_recording(folder)
        except Unreadable as error:
            skipped.append(f"{folder.name}: {error}")
            continue
        total += len(recording.body) + len(recording.request_body)
        if total > RECORDINGS_BYTES_MAX:
            skipped.append(f"{folder.name}: more than {RECORDINGS_BYTES_MAX} bytes of recordings")
            break
        recordings.append(recording)
    return recordings, skipped


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror}") from None
    except ValueError:
        raise Unreadable(f"{path.name} is not JSON") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{path.name} is not a JSON object")
    return value


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror}") from None


class Library:
    """Finds the recording that answers a request: by id, by equal call, by equal JSON, by the only one for the path."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._by_id = {recording.id: recording for recording in recordings}
        self._by_path: dict[tuple[str, str], list[Recording]] = defaultdict(list)
        self._given: Counter[str] = Counter()
        for recording in recordings:
            self._by_path[recording.method, recording.path].append(recording)

    def __iter__(self) -> Iterator[Recording]:
        return iter(self._by_id.values())

    def find(self, *, id: str | None, method: str, path: str, authority: str, body: bytes) -> Recording | str:  # noqa: A002 (the folder's id)
        """The recording, or what was tried in vain."""
        if id is not None:
            return self._by_id.get(id) or f"no recording has the id of x-replay-id ({len(self._by_id)} loaded)"
        here = self._by_path.get((method, path), [])
        same_host = [r for r in here if r.authority == authority] or here
        for candidates in (same_host, here):
            equal = [r for r in candidates if r.request_body == body]
            if equal:
                return self._next(equal)
        meaning = _json(body)
        if meaning is not None:
            for recording in (*same_host, *here):
                if _json(recording.request_body) == meaning:
                    return recording
        if len(same_host) == 1:
            return same_host[0]
        return (
            f"tried: x-replay-id (absent), {len(here)} recordings of {method} {path} by equal body, by equal JSON, "
            "and as the only one"
        )

    def _next(self, equal: Sequence[Recording]) -> Recording:
        """A request that was recorded more than once is answered by each recording in turn."""
        turn = self._given[equal[0].id]
        self._given[equal[0].id] += 1
        return equal[turn % len(equal)]


def _json(body: bytes) -> Any | None:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
