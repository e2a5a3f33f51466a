"""`cohere.v1.embed` and `cohere.v2.embed`: texts and images to vectors (Cohere API reference, "Embed").

    v1, v2   {"model": "…", "input_type": "search_query", "texts": ["…"], "images": ["data:image/png;base64,…"]}
    v2       {"model": "…", "input_type": "…", "inputs": [{"content": [{"type": "text", "text": "…"}, …]}]}

Vectors are numbers, megabytes of them: of an answer only its id and `meta` are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.cohere.cohere_codec import ResultCodec
from extproc.codecs.cohere.words import WORDS
from extproc.framing import tolerant_json
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, url_part
from extproc.model import Call, Conversation, Message, Part, RequestFacts
from extproc.shape import Fields, as_list, as_name, as_object, as_text, invalid, unknown_part
from extproc.steering import Steering

_KNOWN_KEYS = frozenset(
    """embedding_types images input_type inputs max_tokens model output_dimension priority texts truncate""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_STEERING = Steering("input_type max_tokens output_dimension priority truncate", WORDS)
_INPUTS = ("texts", "images", "inputs")
_PART_KEYS = frozenset({"type", "text", "image_url"})


class EmbedV2(ResultCodec):
    api = "cohere.v2.embed"
    operation: str | None = "embeddings"
    path_end = "v2/embed"

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        body = Fields(document)
        body.refuse_lookalikes(_KNOWN_KEYS)
        given = [key for key in _INPUTS if body.raw(key) is not None]
        if not given:
            raise invalid("texts", "a list of strings, where there are neither images nor inputs")
        inputs = _Inputs()
        inputs.read(body)
        return RequestFacts(
            model=body.text("model"),
            message_count=1 if any(body.raw(key) for key in given) else 0,
            text_bytes=inputs.text_bytes,
            uninspected_parts=tuple(inputs.parts),
            parameters=_STEERING.of(body.members),
        )

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        """One message with everything to embed; the vectors are no words."""
        del call, response_body
        parts = tuple(_parts(as_object(tolerant_json.loads_or_none(request_body))))
        return Conversation(messages=(Message("user", parts),), request_message_count=1) if parts else Conversation()


class EmbedV1(EmbedV2):
    api = "cohere.v1.embed"
    path_end = "v1/embed"


class _Inputs:
    def __init__(self) -> None:
        self.text_bytes = 0
        self.parts = Parts()

    def read(self, body: Fields) -> None:
        self.text_bytes += sum(map(utf8_size, body.texts("texts")))
        for index, url in enumerate(body.texts("images")):
            self.parts.append(url_part("image", f"/images/{index}", url))
        for index, given in body.objects("inputs"):
            content = given.raw("content")
            if type(content) is str:
                self.text_bytes += utf8_size(content)
                continue
            if content is None:
                raise invalid(given.named("content"), "a list of parts")
            for number, part in given.objects("content"):
                self._read_part(part, content[number], f"/inputs/{index}/content/{number}")

    def _read_part(self, part: Fields, item: dict[str, Any], where: str) -> None:
        part.refuse_lookalikes(_PART_KEYS)
        kind = part.text("type") or ("text" if type(item.get("text")) is str else "")
        if kind == "text":
            self.text_bytes += utf8_size(part.text("text") or "")
        elif kind == "image_url":
            held = item.get("image_url")
            self.parts.append(url_part("image", where, as_text(held) or as_text(as_object(held).get("url"))))
        else:
            self.parts.add("unknown", where)


def _parts(request: dict[str, Any]) -> Iterator[Part]:
    yield from (Part("text", as_text(text)) for text in as_list(request.get("texts")))
    yield from (Part("image") for _ in as_list(request.get("images")))
    for given in map(as_object, as_list(request.get("inputs"))):
        content = given.get("content")
        if type(content) is str:
            yield Part("text", content)
        for item in map(as_object, as_list(content)):
            if as_name(item.get("type")) == "image_url":
                yield Part("image")
            else:
                yield Part("text", item["text"]) if type(item.get("text")) is str else unknown_part(item)
