"""What is the same for all of Google's APIs: errors, and a model that the path names."""

from __future__ import annotations

from typing import Any

from extproc.codecs.gemini import paths
from extproc.codecs.gemini.errors import error_event, error_reply
from extproc.framing import tolerant_json
from extproc.framing.json_strings import replace_strings
from extproc.json_codec import JsonCodec
from extproc.model import Call, Conversation, ErrorReply
from extproc.shape import as_list, as_object


class GoogleCodec(JsonCodec):
    """A `JsonCodec`, but for what one of Google's APIs must say itself."""

    methods: frozenset[str] = frozenset()
    """What stands behind the colon at the path's end."""

    def matches(self, call: Call) -> bool:
        asked = paths.target(call.path) if call.method == "POST" else None
        return asked is not None and asked.method in self.methods

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        del call
        return error_event(status=status, code=code, message=message, exchange_id=exchange_id)

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        """The path goes by another model; a body that names it too must say the same (`batchEmbedContents`)."""
        asked = paths.target(call.path)
        in_path = asked is not None and asked.model is not None
        path = paths.with_model(call.path, model) if in_path else call.path
        edits = {
            where: _renamed(named, model)
            for where, named in _named_models(as_object(tolerant_json.loads_or_none(body)))
        }
        if not edits and not in_path:
            raise LookupError("neither path nor body names a model")
        return path, replace_strings(body, edits) if edits else body

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call, request_body, response_body
        return Conversation()


def target_of(call: Call) -> paths.Target:
    """What the path asks for; of one that says nothing, only that the body says it all."""
    return paths.target(call.path) or paths.Target("", None)


def _named_models(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Pointers of the members of a body that name its model, with what they say."""
    holders = [("", document)]
    holders += [(f"/{key}", as_object(document.get(key))) for key in ("generateContentRequest", "request")]
    holders += [(f"/requests/{index}", as_object(item)) for index, item in enumerate(as_list(document.get("requests")))]
    return [(f"{where}/model", holder["model"]) for where, holder in holders if type(holder.get("model")) is str]


def _renamed(named: str, model: str) -> str:
    """`model` with the collection that the old name had: `models/X`, `projects/…/models/X`."""
    wanted = paths.bare(model)
    collection = named[: -len(paths.bare(named))] if named.endswith(paths.bare(named)) else ""
    return wanted if "/" in wanted else collection + wanted
