"""Images and audio (platform.openai.com/docs/api-reference/images and …/audio)."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import HTTP

from extproc.upstream.answers import CREATED_S, Answer, Json, sse
from extproc.upstream.endpoint import Endpoint, Question, Reply, events, whole
from extproc.upstream.providers.openai_chat import choices_of, refuse

AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/opus", "aac": "audio/aac", "flac": "audio/flac"}
IMAGE_TOKENS = 272
"""What OpenAI's price page counts for a small image of low quality."""


def _png() -> bytes:
    """One black pixel (PNG specification §5, §11.2)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def _images(question: Question) -> Reply:
    count = choices_of(question.body)
    output = IMAGE_TOKENS * count
    usage: Json = {
        "input_tokens": question.input_tokens,
        "input_tokens_details": {"text_tokens": question.input_tokens, "image_tokens": 0},
        "output_tokens": output,
        "total_tokens": question.input_tokens + output,
    }
    images = [{"b64_json": base64.b64encode(_png()).decode()}] * count
    return whole({"created": CREATED_S, "data": images, "output_format": "png", "size": "1024x1024", "usage": usage})


def _speech(question: Question) -> Reply:
    body = question.body
    text = body["input"]
    audio = (f"simulated audio of {len(text)} characters".encode() * 16)[:256]
    parts = [audio[start : start + 64] for start in range(0, len(audio), 64)]
    if body.get("stream_format") == "sse":
        return events(_speech_events(parts, question.input_tokens))
    kind = AUDIO_TYPES.get(str(body.get("response_format", "mp3")), "application/octet-stream")
    return Reply(parts, kind, streamed=True)


def _speech_events(parts: list[bytes], input_tokens: int) -> Iterator[bytes]:
    for part in parts:
        yield sse({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()})
    told = {"input_tokens": input_tokens, "output_tokens": len(parts), "total_tokens": input_tokens + len(parts)}
    yield sse({"type": "speech.audio.done", "usage": told})


def _transcription(question: Question) -> Reply:
    fields = _form(question)
    answer = question.answer("tr_", tool=None, echo="")
    if fields.get("stream") == "true":
        return events(_transcript_events(answer))
    if fields.get("response_format") == "text":
        return Reply([answer.text.encode() + b"\n"], "text/plain; charset=utf-8")
    return whole({"text": answer.text, "usage": _audio_usage(answer)})


def _translation(question: Question) -> Reply:
    return whole({"text": question.answer("tr_", tool=None, echo="").text})


def _transcript_events(answer: Answer) -> Iterator[bytes]:
    for piece in answer.pieces:
        yield sse({"type": "transcript.text.delta", "delta": piece})
    yield sse({"type": "transcript.text.done", "text": answer.text, "usage": _audio_usage(answer)})


def _audio_usage(answer: Answer) -> Json:
    return {
        "type": "tokens",
        "input_tokens": answer.input_tokens,
        "input_token_details": {"text_tokens": 0, "audio_tokens": answer.input_tokens},
        "output_tokens": answer.output_tokens,
        "total_tokens": answer.total_tokens,
    }


def _form(question: Question) -> dict[str, str]:
    """The short fields of a form (RFC 7578)."""
    head = f"content-type: {question.request.headers.get('content-type', '')}\r\n\r\n".encode()
    form = message_from_bytes(head + question.request.body, policy=HTTP)
    fields: dict[str, str] = {}
    for part in form.iter_parts() if form.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(data, bytes) and part.get_filename() is None:
            fields[name] = data.decode("utf-8", "replace")
    return fields


ENDPOINTS = (
    Endpoint("POST", re.compile(r"/images/(?:generations|edits|variations)$"), _images, refuse),
    Endpoint("POST", re.compile(r"/audio/speech$"), _speech, refuse, wants="input"),
    Endpoint("POST", re.compile(r"/audio/transcriptions$"), _transcription, refuse),
    Endpoint("POST", re.compile(r"/audio/translations$"), _translation, refuse),
)
