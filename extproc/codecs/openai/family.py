"""What the codecs of this family have in common: an error is OpenAI's, the path may name the model, the body may be a
form."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

from extproc.codec import ResponseEditor
from extproc.codecs.openai.deployments import model_in_path, with_model_in_path
from extproc.codecs.openai.forms import is_form
from extproc.codecs.openai.stream_usage import UsageRemover, asking_for_usage
from extproc.dialects.openai_chat.errors import error_event, error_reply
from extproc.framing.multipart import replace_field
from extproc.json_codec import JsonCodec
from extproc.model import Call, ErrorReply, RequestFacts


class OpenAiCodec(JsonCodec):
    """An `extproc.codec.Codec`, but for `matches`, `request`, `response` and `conversation`."""

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        path = with_model_in_path(call.path, model)
        if path is not None:
            return path, body
        if self.takes_forms and is_form(call):
            return call.path, replace_field(body, call.content_type or "", "model", model)
        return super().with_model(call, body, model)


class CompletingCodec(OpenAiCodec):
    """An `OpenAiCodec` whose streams are chunks with choices, which say their usage when they are asked to."""

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        del call
        return error_event(status=status, code=code, message=message, exchange_id=exchange_id)

    def asking_for_usage(self, body: bytes) -> bytes | None:
        return asking_for_usage(body)

    def usage_remover(self) -> ResponseEditor | None:
        return UsageRemover()


class ReadingCodec(OpenAiCodec):
    """An `OpenAiCodec` with `read` in the stead of `request`."""

    @abstractmethod
    def read(self, document: Any, call: Call) -> RequestFacts:
        """The facts in the body alone. Raises `ClientError`."""

    def request(self, document: Any, call: Call) -> RequestFacts:
        facts = self.read(document, call)
        named = model_in_path(call.path)
        return facts if named is None else replace(facts, model=named)
