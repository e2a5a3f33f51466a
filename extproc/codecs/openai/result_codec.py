"""What the codecs of this family have in common whose answers are no text."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.openai.deployments import model_in_path
from extproc.codecs.openai.results import ResultAccount
from extproc.dialects.openai_chat.errors import error_reply
from extproc.framing import tolerant_json
from extproc.json_codec import JsonCodec
from extproc.model import Call, Conversation, ErrorReply, Message, RequestFacts
from extproc.shape import as_object


class ResultCodec(JsonCodec):
    """An `extproc.codec.Codec` for vectors, scores and verdicts."""

    metering: ClassVar[Metering] = Metering.NO_OUTPUT

    @abstractmethod
    def read(self, document: Any) -> RequestFacts:
        """The facts in the body. Raises `ClientError`."""

    @abstractmethod
    def messages(self, document: dict[str, Any]) -> tuple[Message, ...]:
        """What a stored request gave to read. Tolerant."""

    def request(self, document: Any, call: Call) -> RequestFacts:
        facts = self.read(document)
        named = model_in_path(call.path)
        return facts if named is None else replace(facts, model=named)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(ResultAccount(status=status), status=status, request=request, metering=self.metering)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        """What was given to read; the vectors, scores and verdicts stay in the stored body."""
        del call, response_body
        asked = self.messages(as_object(tolerant_json.loads_or_none(request_body)))
        return Conversation(messages=asked, request_message_count=len(asked))
