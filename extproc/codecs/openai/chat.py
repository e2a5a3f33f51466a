"""`openai.chat`: chat completions as OpenAI defined them and many others speak them.

Databricks serves every kind of model at `/serving-endpoints/NAME/invocations`. Most are chats; a body there without
`messages` (vectors, a model of one's own) is not refused, but all of it counts as uninspected.

watsonx has the same grammar at paths of its own, which say whether the answer streams, and names the model `model_id`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.openai.deployments import model_in_path
from extproc.codecs.openai.family import CompletingCodec
from extproc.dialects.openai_chat.conversation import read_conversation
from extproc.dialects.openai_chat.recognition import looks_like_chat
from extproc.dialects.openai_chat.request import read_request
from extproc.dialects.openai_chat.response import ChatAccount
from extproc.framing.json_strings import replace_strings
from extproc.model import Call, Conversation, RequestFacts, UninspectedPart
from extproc.shape import Fields

_PATH_ENDS = ("/chat/completions", "/agents/completions")
_WATSONX_KEYS = frozenset({"model_id"})
_WATSONX = re.compile(r".*/ml/v1/(?:deployments/[^/]+/)?text/chat(_stream)?")
_INVOCATIONS = re.compile(r".*/serving-endpoints/[^/]+/invocations")
_OTHER_INPUTS = frozenset({"input", "inputs", "instances", "dataframe_split", "dataframe_records", "prompt"})
"""What models of other kinds read at the same address (Databricks REST reference, "Query a serving endpoint"): which of
the two the one there reads, only its owner knows, and token ids and vectors are no text."""
_RAW_PREDICT = re.compile(r".*/publishers/mistralai/models/[^/:]+:(rawPredict|streamRawPredict)")
"""Other publishers' models on Vertex AI have grammars of their own."""


class OpenAiChat(CompletingCodec):
    api = "openai.chat"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        """Under any prefix: `/v1`, `/api/v1`, `/openai/v1`, Azure's `/openai/deployments/X`, Vertex'
        `/endpoints/openapi`; Mistral's agents, and its models on Vertex; watsonx."""
        if call.method != "POST":
            return False
        if call.path.endswith(_PATH_ENDS) or _is_invocation(call):
            return True
        return _RAW_PREDICT.fullmatch(call.path) is not None or _WATSONX.fullmatch(call.path) is not None

    def recognises(self, document: Any, call: Call) -> bool:
        return looks_like_chat(document, call)

    def request(self, document: Any, call: Call) -> RequestFacts:
        named = model_in_path(call.path)
        if _is_invocation(call) and type(document) is dict and document.get("messages") is None:
            return RequestFacts(model=named, uninspected_parts=(UninspectedPart("unknown", ""),))
        facts = read_request(document)
        if _is_invocation(call) and not _OTHER_INPUTS.isdisjoint(document):
            facts = replace(facts, uninspected_parts=(*facts.uninspected_parts, UninspectedPart("unknown", "")))
        if (watsonx := _WATSONX.fullmatch(call.path)) is not None:
            return _read_watsonx(facts, document, named, is_streamed=watsonx[1] is not None)
        if named is None:
            return facts
        return replace(facts, model=named, stream=facts.stream or call.path.endswith(":streamRawPredict"))

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(ChatAccount(status=status), status=status, request=request)

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        if _WATSONX.fullmatch(call.path) is not None and model_in_path(call.path) is None:
            return call.path, replace_strings(body, {"/model_id": model})
        return super().with_model(call, body, model)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)


def _is_invocation(call: Call) -> bool:
    return _INVOCATIONS.fullmatch(call.path) is not None


def _read_watsonx(facts: RequestFacts, document: Any, named: str | None, *, is_streamed: bool) -> RequestFacts:
    """IBM's REST reference, "Infer text chat": `model_id` in the body, or the deployment in the path. Its streams
    always end with usage."""
    body = Fields(document)
    body.refuse_lookalikes(_WATSONX_KEYS)
    return replace(facts, model=named or body.text("model_id"), stream=is_streamed, asks_stream_usage=True)
