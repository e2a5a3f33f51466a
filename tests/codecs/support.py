"""Recorded exchanges, as files in a folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from extproc.codec import Codec
from extproc.codecs import codec_for
from extproc.framing import multipart, strict_json
from extproc.model import CALL_HINTS, Call, RequestFacts, ResponseFacts

RECORDINGS = Path(__file__).parent / "recordings"


@dataclass(frozen=True)
class Recording:
    folder: Path

    def _json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_bytes())

    @cached_property
    def call(self) -> Call:
        head = self._json("request.json")
        headers = {name.lower(): value for name, value in head.get("headers", ())}
        return Call(
            head["method"],
            head["path"].partition("?")[0],
            head["authority"],
            content_type=headers.get("content-type"),
            hints={name: headers[name] for name in CALL_HINTS if name in headers},
        )

    @cached_property
    def codec(self) -> Codec:
        return codec_for(self.call)

    @cached_property
    def request_body(self) -> bytes:
        return (self.folder / "request.body").read_bytes()

    @cached_property
    def response_body(self) -> bytes:
        return (self.folder / "response.body").read_bytes()

    @cached_property
    def status(self) -> int:
        return int(self._json("response.json")["status"])

    @cached_property
    def content_type(self) -> str | None:
        headers = {name.lower(): value for name, value in self._json("response.json")["headers"]}
        return headers.get("content-type")

    @cached_property
    def expected(self) -> Any:
        return self._json("expected.json")

    @cached_property
    def meta(self) -> Any:
        return self._json("meta.json")

    @cached_property
    def request_facts(self) -> RequestFacts:
        if not self.request_body:  # nothing to inspect
            return RequestFacts()
        content_type = self.call.content_type or ""
        if self.codec.takes_forms and content_type.startswith("multipart/form-data"):
            return self.codec.request(multipart.parse(self.request_body, content_type), self.call)
        return self.codec.request(strict_json.parse(self.request_body, depth_max=128), self.call)

    def response_facts(self, *chunks: bytes, complete: bool = True) -> ResponseFacts:
        decoder = self.codec.response(
            call=self.call, status=self.status, content_type=self.content_type, request=self.request_facts
        )
        for chunk in chunks:
            decoder.feed(chunk)
        return decoder.finish(complete=complete)


def own_recordings() -> list[Path]:
    return sorted(path.parent for path in RECORDINGS.glob("*/*/expected.json"))


def corpus_recordings(*apis: str) -> list[Recording]:
    """Those of $HEADGATE_CORPUS/exchanges, of these apis as the corpus calls them, or all; none when the variable is
    not set."""
    root = os.environ.get("HEADGATE_CORPUS")
    metas = sorted((Path(root) / "exchanges").glob("*/meta.json")) if root else []
    return [Recording(meta.parent) for meta in metas if not apis or json.loads(meta.read_bytes())["api"] in apis]


def bytewise(body: bytes) -> list[bytes]:
    return [body[i : i + 1] for i in range(len(body))]
