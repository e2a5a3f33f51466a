"""`openai.images`: generations (JSON), edits (a form, or JSON as xAI and newer models take it) and variations (a form).

Sources: OpenAI API reference, "Create image", "Create image edit", "Create image variation"; the image APIs of xAI and
Together, which have the same paths.
"""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.openai.family import ReadingCodec
from extproc.codecs.openai.forms import file_parts, stored, text_of, typed
from extproc.codecs.openai.image_answers import ImageAccount, image_parts
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Call, Conversation, Message, Part, RequestFacts
from extproc.shape import Fields, joined
from extproc.steering import Steering

_PATH_ENDS = ("/images/generations", "/images/edits", "/images/variations")
_TEXT_KEYS = ("prompt", "negative_prompt")
_IMAGE_KEYS = ("image", "image[]", "images", "image_url", "mask", "markup", "reference_images")
_KNOWN_KEYS = frozenset({*_TEXT_KEYS, *_IMAGE_KEYS, "model", "n", "stream", "response_format", "size"})
_INTEGERS = frozenset({"n", "partial_images", "output_compression", "seed", "steps"})
_STEERING = Steering(
    """background input_fidelity moderation output_compression output_format partial_images quality response_format
    seed size steps style"""
)


class OpenAiImages(ReadingCodec):
    api = "openai.images"
    operation: str | None = "generate_content"
    takes_forms = True

    def matches(self, call: Call) -> bool:
        """Under any prefix, Azure's deployments among them."""
        return call.method == "POST" and call.path.endswith(_PATH_ENDS)

    def read(self, document: Any, call: Call) -> RequestFacts:
        body = Fields(typed(document, call, integers=_INTEGERS, numbers=frozenset(), flags=frozenset({"stream"})))
        body.refuse_lookalikes(_KNOWN_KEYS)
        count = body.integer("n", at_least=1) or 1
        return RequestFacts(
            model=body.text("model"),
            stream=body.flag("stream"),
            choices=count,
            message_count=1,
            text_bytes=sum(utf8_size(body.text(key) or "") for key in _TEXT_KEYS),
            uninspected_parts=tuple(file_parts("image", body, _IMAGE_KEYS)),
            asks_stream_usage=body.flag("stream"),  # its last event always has it
            parameters=_STEERING.of(body.members),
            image_count=count,
        )

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = ImageAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, metering=Metering.MEDIA_OUT)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        request = stored(request_body)
        parts = [Part("text", text) for key in _TEXT_KEYS if (text := text_of(request.get(key)))]
        for key in _IMAGE_KEYS:
            held = request.get(key)
            parts += [Part("image", media_type=_media_type(item)) for item in (held if type(held) is list else [held])
                      if item is not None]  # fmt: skip
        asked = (Message("user", tuple(parts)),) if parts else ()
        said = tuple(image_parts(response_body))
        return Conversation(
            messages=(*asked, Message("assistant", said)) if said else asked,
            request_message_count=len(asked),
            response_text=joined(part.text for part in said),
        )


def _media_type(held: Any) -> str | None:
    media_type = held.get("media_type") if type(held) is dict else None
    return media_type if type(media_type) is str else None
