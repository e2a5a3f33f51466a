"""`openai.rerank`: how well documents answer a query, as Jina, Voyage, Together, vLLM and text-embeddings-inference
speak it. OpenAI itself has no such call; the family's manners are theirs all the same.

    {"model": "…", "query": "…", "documents": ["…", {"text": "…"}], "top_n": 3}        `texts` with the last
"""

from __future__ import annotations

from typing import Any

from extproc.codecs.openai.input_messages import input_parts
from extproc.codecs.openai.inputs import Inputs
from extproc.codecs.openai.result_codec import ResultCodec
from extproc.model import Call, Message, RequestFacts
from extproc.shape import Fields, as_list, invalid
from extproc.steering import Steering

_PATH_ENDS = ("/rerank", "/reranking")
_OTHER_HOSTS = ("cohere.com", "cohere.ai", "amazonaws.com")
"""Cohere has codecs of its own; Amazon's Rerank of Bedrock has other members altogether."""
_KNOWN_KEYS = frozenset(
    """documents input model query rank_fields return_documents texts top_k top_n truncate truncation""".split()  # noqa: SIM905 (a text reads better than a list)
)
_STEERING = Steering("max_chunks_per_doc max_tokens_per_doc return_documents top_k top_n truncate truncation")
_DOCUMENT_KEYS = ("documents", "texts", "input")


class OpenAiRerank(ResultCodec):
    api = "openai.rerank"

    def matches(self, call: Call) -> bool:
        return (
            call.method == "POST"
            and call.path.endswith(_PATH_ENDS)
            and not any(call.host == host or call.host.endswith("." + host) for host in _OTHER_HOSTS)
        )

    def read(self, document: Any, call: Call) -> RequestFacts:
        del call
        body = Fields(document)
        body.refuse_lookalikes(_KNOWN_KEYS)
        inputs = Inputs()
        inputs.read(body, "query")
        key = next((key for key in _DOCUMENT_KEYS if body.raw(key) is not None), None)
        if key is None or (key != "documents" and type(body.raw(key)) is not list):
            raise invalid("documents", "a list of strings or objects")
        inputs.read(body, key)
        return RequestFacts(
            model=body.text("model"),
            message_count=1,
            text_bytes=inputs.text_bytes,
            uninspected_parts=tuple(inputs.parts),
            parameters=_STEERING.of(body.members),
        )

    def messages(self, document: dict[str, Any]) -> tuple[Message, ...]:
        """One message: the query, then the documents."""
        query = document.get("query")
        documents = next((document[key] for key in _DOCUMENT_KEYS if document.get(key) is not None), None)
        items = [] if query is None else [query]
        items += as_list(documents)
        return (Message("user", tuple(input_parts(items))),) if items else ()
