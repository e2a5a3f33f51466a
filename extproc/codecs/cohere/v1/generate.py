"""`cohere.v1.generate`: a prompt and what comes after it (Cohere API reference, "Generate", API v1)."""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.cohere.cohere_codec import CohereCodec
from extproc.codecs.cohere.errors import ERROR, is_error, read_error, stream_error, told
from extproc.codecs.cohere.usage import normalised
from extproc.codecs.cohere.v1.streams import framed
from extproc.codecs.cohere.words import WORDS
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Call, Conversation, ErrorFacts, Message, Part, RequestFacts, ResponseFacts
from extproc.shape import Fields, as_list, as_name, as_object, as_text, invalid, joined
from extproc.steering import Steering
from extproc.usage import verbatim

_KNOWN_KEYS = frozenset(
    """end_sequences frequency_penalty k logit_bias max_tokens model num_generations p presence_penalty preset prompt
    raw_prompting return_likelihoods seed stop_sequences stream temperature truncate""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_STEERING = Steering("frequency_penalty k p presence_penalty raw_prompting return_likelihoods seed truncate", WORDS)
GENERATIONS_MAX = 1_024
"""Generations whose finish reason is kept; the api allows 5."""


class Generate(CohereCodec):
    api = "cohere.v1.generate"
    operation: str | None = "text_completion"
    path_end = "v1/generate"

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        body = Fields(document)
        body.refuse_lookalikes(_KNOWN_KEYS)
        prompt = body.text("prompt")
        if prompt is None:
            raise invalid("prompt", "a string")
        choices = body.integer("num_generations", at_least=1)
        return RequestFacts(
            model=body.text("model"),
            stream=body.flag("stream"),
            max_output_tokens=body.integer("max_tokens"),
            choices=1 if choices is None else choices,
            temperature=body.number("temperature"),
            message_count=bool(prompt) + 0,
            text_bytes=utf8_size(prompt),
            asks_stream_usage=True,  # the last event always tells it
            parameters=_STEERING.of(body.members),
        )

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = GenerateAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, stream_format=StreamFormat.NDJSON)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """The api's own `stream-error`. The SDKs hand it on like any event, they raise for none."""
        del status
        text = told(code=code, message=message, exchange_id=exchange_id)
        return framed(call, {"is_finished": True, "event_type": "stream-error", "finish_reason": ERROR, "err": text})

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        prompt = as_text(as_object(tolerant_json.loads_or_none(request_body)).get("prompt"))
        asked = (Message("user", (Part("text", prompt),)),) if prompt else ()
        texts = _texts(response_body)
        return Conversation(
            messages=(*asked, *(Message("assistant", (Part("text", text),)) for text in texts)),
            request_message_count=len(asked),
            response_text=joined(texts),
        )


class GenerateAccount:
    """An `extproc.accounting.Account`. A stream's last event holds the whole answer again: it counts once."""

    def __init__(self, *, status: int) -> None:
        self.terminal = False
        self._succeeded = 200 <= status < 300
        self._id = ""
        self._finish_reasons: tuple[str, ...] = ()
        self._streamed_bytes = 0
        self._whole_bytes = 0
        self._meta: dict[str, Any] = {}
        self._error: ErrorFacts | None = None

    def take_event(self, event: StreamEvent) -> None:
        data = event.data.strip()
        if not data or data == b"[DONE]":
            return
        chunk = as_object(tolerant_json.loads(data))
        if is_error(chunk) or "generations" in chunk:  # a plain answer or error, read as a stream of one line
            self.take_document(chunk)
            return
        reason = as_name(chunk.get("finish_reason"))
        if chunk.get("is_finished") is True:
            self.terminal = True
            self._take_answer(as_object(chunk.get("response")))
            self._finish_reasons = self._finish_reasons or ((reason,) if reason else ())
        else:
            self._streamed_bytes += utf8_size(as_text(chunk.get("text")))
        if chunk.get("event_type") == "stream-error" or reason == ERROR:
            self._error = stream_error(chunk.get("err"), reason)

    def take_document(self, document: Any) -> None:
        self.terminal = True
        answer = as_object(document)
        if is_error(answer) or not self._succeeded:
            self._error = read_error(answer)
        else:
            self._take_answer(answer)

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete or self.terminal

    def facts(self) -> ResponseFacts:
        return ResponseFacts(
            response_id=self._id or None,
            finish_reasons=self._finish_reasons,
            said=normalised(self._meta),
            provider_usage=verbatim(self._meta),
            text_bytes=max(self._streamed_bytes, self._whole_bytes),
            error=self._error,
        )

    def _take_answer(self, answer: dict[str, Any]) -> None:
        self._id = as_name(answer.get("id"))
        self._meta = as_object(answer.get("meta"))
        generations = [as_object(generation) for generation in as_list(answer.get("generations"))]
        self._whole_bytes = sum(utf8_size(as_text(generation.get("text"))) for generation in generations)
        self._finish_reasons = tuple(
            reason
            for generation in generations[:GENERATIONS_MAX]
            if (reason := as_name(generation.get("finish_reason")))
        )


def _texts(body: bytes | None) -> list[str]:
    """The text of each generation, in order."""
    pieces: dict[int, list[str]] = {}
    whole: list[str] = []
    for document, _ in ResponseBody(StreamFormat.NDJSON).documents(body):
        chunk = as_object(document)
        answer = as_object(chunk.get("response")) or chunk
        if generations := as_list(answer.get("generations")):
            whole = [as_text(as_object(generation).get("text")) for generation in generations]
        elif chunk.get("is_finished") is not True:
            index = chunk.get("index")
            pieces.setdefault(index if type(index) is int else 0, []).append(as_text(chunk.get("text")))
    texts = whole or ["".join(parts) for _, parts in sorted(pieces.items())]
    return [text for text in texts if text]
