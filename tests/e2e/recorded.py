"""Reads recorded exchanges, independently of our codecs: the call, its api, the JSON documents of its response.

Written from the providers' API references only, and deliberately naive: a whole body at a time, no tolerance for what
a recording does not need. What the documents say of model and usage is `recorded_usage`'s.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

APIS = (
    (r"POST .*/chat/completions", "openai.chat"),
    (r"POST .*/completions", "openai.completions"),
    (r"POST .*/responses", "openai.responses"),
    (r"POST .*/v1/embeddings|POST .*/deployments/[^/]+/embeddings", "openai.embeddings"),
    (r"POST .*/images/generations", "openai.images"),
    (r"POST api\.voyageai\.com/v1/rerank", "openai.rerank"),
    (r"POST api\.writer\.com/v1/chat", "openai.chat"),
    (r"POST .*/v1/messages", "anthropic.messages"),
    (r"POST .*/v1/messages/count_tokens", "anthropic.count_tokens"),
    (r"POST .*/v1/complete", "anthropic.complete"),
    (r"POST .*:(?:streamG|g)enerateContent", "gemini.generate_content"),
    (r"POST .*:countTokens", "gemini.count_tokens"),
    (r"POST .*:(?:embedContent|batchEmbedContents)", "gemini.embed_content"),
    (r"GET generativelanguage\.googleapis\.com/v1beta/models", "gemini.models"),
    (r"POST .*/model/[^/]+/converse(?:-stream)?", "bedrock.converse"),
    (r"POST .*/model/[^/]+/invoke(?:-with-response-stream)?", "bedrock.invoke_model"),
    (r"POST api\.cohere\.com/v1/(chat|generate|embed|rerank)", r"cohere.v1.\1"),
    (r"POST api\.cohere\.com/v2/(chat|embed|rerank)", r"cohere.v2.\1"),
    (r"POST .*/api/(chat|generate)", r"ollama.\1"),
    (r"POST .*/api/embed(?:dings)?", "ollama.embed"),
    (r"POST .*/mcp", "mcp"),
)
"""`METHOD host/path` → api, as docs/decisions/004-codecs.md lists them; the first that matches."""


@dataclass(frozen=True)
class Recorded:
    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    def _json(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / name).read_bytes())
        return document

    def _bytes(self, name: str) -> bytes:
        path = self.folder / name
        return path.read_bytes() if path.exists() else b""

    @property
    def method(self) -> str:
        return str(self._json("request.json")["method"])

    @property
    def authority(self) -> str:
        return str(self._json("request.json")["authority"])

    @property
    def path(self) -> str:
        return str(self._json("request.json")["path"])

    @property
    def content_type(self) -> str | None:
        headers = self._json("request.json")["headers"]
        return next((value for name, value in headers if name.lower() == "content-type"), None)

    @property
    def request_body(self) -> bytes:
        return self._bytes("request.body")

    @property
    def status(self) -> int:
        return int(self._json("response.json")["status"])

    @property
    def response_body(self) -> bytes:
        """Content coding removed."""
        return self._bytes("response.body")

    @property
    def served(self) -> bytes:
        """As the wire had it, where that was kept."""
        return self._bytes("response.wire") or self.response_body

    @cached_property
    def api(self) -> str:
        call = f"{self.method} {self.authority.partition(':')[0]}{self.path.partition('?')[0]}"
        for pattern, api in APIS:
            found = re.fullmatch(pattern, call)
            if found is not None:
                return found.expand(api)
        return "opaque"

    @cached_property
    def documents(self) -> list[Any]:
        """The response's JSON documents: one, or one for each event."""
        return list(_documents(self.response_body))

    @property
    def requested_model(self) -> str | None:
        """By the path where the provider goes by that, else by the body."""
        named = re.search(r"/(?:deployments|models?)/([^/:]+(?::\d+)?)[:/]", unquote(self.path.partition("?")[0]))
        if named is not None and self.api.partition(".")[0] in ("gemini", "bedrock", "openai"):
            return named[1]
        try:
            document = json.loads(self.request_body)
        except ValueError:
            return None
        return document.get("model") if isinstance(document, dict) else None


def recordings(directory: Path) -> list[Recorded]:
    return [Recorded(folder) for folder in sorted(directory.iterdir()) if (folder / "request.json").is_file()]


def _documents(body: bytes) -> Iterator[Any]:
    text = body.lstrip()
    if text[:1] == b"[":
        yield from json.loads(text)
    elif text[:1] == b"{":
        yield from _values(text.decode())
    elif body[:1] == b"\0":
        yield from _eventstream(body)
    else:
        yield from _events(body)


def _values(text: str) -> Iterator[Any]:
    """One JSON value, or one on each line."""
    decoder = json.JSONDecoder()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip()


def _events(body: bytes) -> Iterator[Any]:
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(lines).strip()
        if data and data != b"[DONE]":
            yield json.loads(data)


def _eventstream(body: bytes) -> Iterator[Any]:
    """Payloads of an AWS eventstream, sums unchecked; what an InvokeModel chunk holds is decoded."""
    while body:
        total, headers = struct.unpack_from(">II", body)
        payload = json.loads(body[12 + headers : total - 4])
        yield json.loads(base64.b64decode(payload["bytes"])) if "bytes" in payload else payload
        body = body[total:]
