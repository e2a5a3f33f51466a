"""`openai.audio`: speech (JSON in, sound out), transcriptions and translations (a form with a recording in, text out).

Sources: OpenAI API reference, "Create speech", "Create transcription", "Create translation"; the same calls of Groq,
Together, Mistral and vLLM, which also take the recording by URL or id, in JSON.
"""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.openai.audio_answers import (
    HEAD_BYTES,
    AudioAccount,
    AudioDecoder,
    delta_text,
    is_structured,
    whole_text,
)
from extproc.codecs.openai.family import ReadingCodec
from extproc.codecs.openai.forms import file_parts, stored, text_of, typed
from extproc.framing.response_body import ResponseBody
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Call, Conversation, Message, Part, RequestFacts
from extproc.shape import Fields, as_name, as_object, invalid, text_size
from extproc.steering import Steering

_SPEECH = "/audio/speech"
_PATH_ENDS = (_SPEECH, "/audio/transcriptions", "/audio/translations")

_SPEECH_KEYS = frozenset({"input", "instructions", "model", "voice", "stream_format", "stream", "response_format"})
_HEARD_KEYS = frozenset({"file", "model", "prompt", "stream", "response_format", "temperature", "language"})
_AUDIO_KEYS = ("file", "file[]", "file_url", "file_id", "url", "audio", "input_audio", "known_speaker_references[]",
               "known_speaker_references")  # fmt: skip
_HINT_KEYS = ("prompt", "keywords", "keywords[]", "known_speaker_names", "known_speaker_names[]", "context_bias")
"""Text that the model reads beside the recording."""
_STEERING = Steering("language response_format speed stream_format diarize")
_NUMBERS = frozenset({"temperature", "speed"})
_FLAGS = frozenset({"stream", "diarize"})
_PLAIN_TEXT = frozenset({"text", "srt", "vtt"})


class OpenAiAudio(ReadingCodec):
    api = "openai.audio"
    operation: str | None = "generate_content"
    takes_forms = True

    def matches(self, call: Call) -> bool:
        """Under any prefix, Azure's deployments among them."""
        return call.method == "POST" and call.path.endswith(_PATH_ENDS)

    def read(self, document: Any, call: Call) -> RequestFacts:
        flags = frozenset({"stream", "diarize"})
        body = Fields(
            typed(document, call, integers=frozenset(), numbers=frozenset({"temperature", "speed"}), flags=flags)
        )
        return _read_speech(body) if call.path.endswith(_SPEECH) else _read_recording(body)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del content_type  # the bytes tell
        is_speech = call.path.endswith(_SPEECH)
        account = AudioAccount(status=status)
        metering = Metering.MEDIA_OUT if is_speech else Metering.MEDIA_IN
        decoder = AccountingDecoder(account, status=status, request=request, metering=metering)
        if status >= 400:
            return decoder
        is_plain_text = not is_speech and request.parameters.get("response_format") in _PLAIN_TEXT
        return AudioDecoder(account, decoder, is_text=not is_speech, is_plain_text=is_plain_text)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """Nothing in speech, which is nearly always sound without events: an event in it would be heard as noise."""
        if call.path.endswith(_SPEECH):
            return b""
        return super().error_event(call=call, status=status, code=code, message=message, exchange_id=exchange_id)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        request = stored(request_body)
        if call.path.endswith(_SPEECH):
            return _spoken(request, response_body or b"")
        parts = [_heard_part(item) for key in _AUDIO_KEYS for item in _listed(request.get(key)) if item is not None]
        parts += [Part("text", text) for key in _HINT_KEYS if (text := text_of(request.get(key)))]
        asked = (Message("user", tuple(parts)),) if parts else ()
        text = _heard_text(response_body or b"", is_plain_text=as_name(request.get("response_format")) in _PLAIN_TEXT)
        said = (Message("assistant", (Part("text", text),)),) if text else ()
        return Conversation(messages=(*asked, *said), request_message_count=len(asked), response_text=text or None)


def _read_speech(body: Fields) -> RequestFacts:
    body.refuse_lookalikes(_SPEECH_KEYS)
    text, instructions = body.text("input"), body.text("instructions")
    if text is None:
        raise invalid("input", "a string")
    return RequestFacts(
        model=body.text("model"),
        stream=body.text("stream_format") == "sse" or body.flag("stream"),
        message_count=1,
        has_system_text=bool(instructions),
        text_bytes=utf8_size(text) + utf8_size(instructions or ""),
        asks_stream_usage=True,  # its last event always has it
        parameters=_STEERING.of(body.members),
    )


def _read_recording(body: Fields) -> RequestFacts:
    body.refuse_lookalikes(_HEARD_KEYS)
    body.text("prompt")
    return RequestFacts(
        model=body.text("model"),
        stream=body.flag("stream"),
        temperature=body.number("temperature"),
        message_count=1,
        text_bytes=sum(text_size(body.raw(key)) for key in _HINT_KEYS),
        uninspected_parts=tuple(file_parts("audio", body, _AUDIO_KEYS)),
        asks_stream_usage=True,
        parameters=_STEERING.of(body.members),
    )


def _listed(held: Any) -> list[Any]:
    return held if type(held) is list else [held]


def _heard_part(held: Any) -> Part:
    media_type = held.get("media_type") if type(held) is dict else None
    return Part("audio", media_type=media_type if type(media_type) is str else None)


def _spoken(request: dict[str, Any], response_body: bytes) -> Conversation:
    text = text_of(request.get("input"))
    asked = (Message("user", (Part("text", text),)),) if text else ()
    answer = (Message("assistant", (Part("audio"),)),) if _is_spoken(response_body) else ()
    return Conversation(
        system_text=text_of(request.get("instructions")) or None,
        messages=(*asked, *answer),
        request_message_count=len(asked),
    )


def _is_spoken(body: bytes) -> bool:
    if not body or not is_structured(body[:HEAD_BYTES], is_plain_text=False):
        return bool(body)
    told = (as_object(document) for document, _ in ResponseBody().documents(body))
    return any(as_name(document.get("type")) == "speech.audio.delta" for document in told)


def _heard_text(body: bytes, *, is_plain_text: bool) -> str:
    """Plain text as it is; else what the document or the last event says, or what the events add up to."""
    if not is_structured(body[:HEAD_BYTES], is_plain_text=is_plain_text):
        return body.decode("utf-8", "replace")
    pieces: list[str] = []
    whole = ""
    for answer, _ in ResponseBody().documents(body):
        document = as_object(answer)
        pieces.append(delta_text(document))
        whole = whole_text(document) or whole
    return whole or "".join(pieces)
