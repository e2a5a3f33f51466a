"""`cohere.v1.rerank` and `cohere.v2.rerank`: how well documents answer a query (Cohere API reference, "Rerank").

    {"model": "…", "query": "…", "documents": ["…", {"text": "…", "title": "…"}], "top_n": 3}

It is billed by `search_units`, not by tokens.
"""

from __future__ import annotations

from typing import Any

from extproc.codecs.cohere.cohere_codec import ResultCodec
from extproc.codecs.cohere.documents import document_text, documents_size
from extproc.codecs.cohere.words import WORDS
from extproc.framing import tolerant_json
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Call, Conversation, Message, Part, RequestFacts
from extproc.shape import Fields, as_list, as_object, as_text, invalid
from extproc.steering import Steering

_KNOWN_KEYS = frozenset(
    """documents max_chunks_per_doc max_tokens_per_doc model priority query rank_fields relevant_spans return_documents
    top_n""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_STEERING = Steering(
    """max_chunks_per_doc max_tokens_per_doc priority return_documents top_n relevant_spans.mode
    relevant_spans.max_spans""",
    WORDS,
)


class RerankV2(ResultCodec):
    api = "cohere.v2.rerank"
    operation: str | None = None
    path_end = "v2/rerank"

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        body = Fields(document)
        body.refuse_lookalikes(_KNOWN_KEYS)
        query = body.text("query")
        if query is None or body.raw("documents") is None:
            raise invalid("query and documents", "a string and a list")
        _, documents_bytes = documents_size(body)
        return RequestFacts(
            model=body.text("model"),
            message_count=1,
            text_bytes=utf8_size(query) + documents_bytes,
            parameters=_STEERING.of(body.members),
        )

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        """One message: the query, then the documents. The ranking is no words."""
        del call, response_body
        request = as_object(tolerant_json.loads_or_none(request_body))
        query = request.get("query")
        if type(query) is not str and not as_list(request.get("documents")):
            return Conversation()
        documents = (Part("text", document_text(document)) for document in as_list(request.get("documents")))
        return Conversation(
            messages=(Message("user", (Part("text", as_text(query)), *documents)),), request_message_count=1
        )


class RerankV1(RerankV2):
    api = "cohere.v1.rerank"
    path_end = "v1/rerank"
