"""`gemini.models`: which models there are (`GET …/models`, `GET …/models/X`)."""

from __future__ import annotations

import re
from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.gemini.google_codec import GoogleCodec
from extproc.codecs.gemini.plain_account import PlainAccount
from extproc.model import Call, RequestFacts

_GEMINI_PATH = re.compile(r"(?:/[^/]+)*/v1(?:alpha|beta)\d*/(?:models|tunedModels)(?:/[^/:]+)?")
_VERTEX_PATH = re.compile(r"(?:/[^/]+)*/publishers/google/models(?:/[^/:]+)?")
_GOOGLE_HOSTS = ("generativelanguage.googleapis.com", "aiplatform.googleapis.com")
_STABLE_PATH = re.compile(r"(?:/[^/]+)*/v1/models(?:/[^/:]+)?")
"""OpenAI's too: Google's only at Google's."""


class Models(GoogleCodec):
    api = "gemini.models"

    def matches(self, call: Call) -> bool:
        if call.method != "GET":
            return False
        if _GEMINI_PATH.fullmatch(call.path) or _VERTEX_PATH.fullmatch(call.path):
            return True
        return call.host.endswith(_GOOGLE_HOSTS) and _STABLE_PATH.fullmatch(call.path) is not None

    def request(self, document: Any, call: Call) -> RequestFacts:
        del document, call
        return RequestFacts()

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type
        return AccountingDecoder(PlainAccount(status=status), status=status, request=request, metering=Metering.NOTHING)
