"""What the codecs of this family have in common whose answers are no text."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.openai.family import ReadingCodec
from extproc.codecs.openai.results import ResultAccount
from extproc.framing import tolerant_json
from extproc.model import Call, Conversation, Message, RequestFacts
from extproc.shape import as_object


class ResultCodec(ReadingCodec):
    """An `extproc.codec.Codec` for vectors, scores and verdicts, but for `matches`, `read` and `messages`."""

    metering: ClassVar[Metering] = Metering.NO_OUTPUT

    @abstractmethod
    def messages(self, document: dict[str, Any]) -> tuple[Message, ...]:
        """What a stored request gave to read. Tolerant."""

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(ResultAccount(status=status), status=status, request=request, metering=self.metering)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        """What was given to read; the vectors, scores and verdicts stay in the stored body."""
        del call, response_body
        asked = self.messages(as_object(tolerant_json.loads_or_none(request_body)))
        return Conversation(messages=asked, request_message_count=len(asked))
