"""`gemini.interactions`: Google's stateful API, in which a conversation is a list of steps that the provider keeps.

    POST /v1beta/interactions   {"model": …, "input": "Hi", "previous_interaction_id": …}

Its first version (December 2025) said `outputs` and `content.delta` where today's says `steps` and `step.delta`: both
are read. Reading an interaction again (GET) is `opaque`, because its tokens were counted when it was created.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.gemini.google_codec import GoogleCodec
from extproc.codecs.gemini.interactions.conversation import read_conversation
from extproc.codecs.gemini.interactions.request import read_request
from extproc.codecs.gemini.interactions.response import InteractionAccount
from extproc.framing.json_strings import replace_strings
from extproc.model import Call, Conversation, RequestFacts

_PATH = re.compile(r"(?:/[^/]+)*/v\d[a-z0-9]*(?:/projects/[^/]+/locations/[^/]+)?/interactions")


class Interactions(GoogleCodec):
    api = "gemini.interactions"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        return call.method == "POST" and _PATH.fullmatch(call.path) is not None

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        return read_request(document)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(InteractionAccount(status=status), status=status, request=request)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """The API's own `error` event: the SDKs give it to the caller as the stream's last."""
        del call
        told = orjson.loads(self.error(status=status, code=code, message=message, exchange_id=exchange_id).body)[
            "error"
        ]
        event = {"event_type": "error", "error": {"code": told["status"], "message": told["message"]}}
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        return call.path, replace_strings(body, {"/model": model})

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
