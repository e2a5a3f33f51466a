"""What is the same for all calls of the Bedrock runtime: errors, and a model that the path names."""

from __future__ import annotations

from extproc.codecs.bedrock.errors import error_event
from extproc.codecs.bedrock.paths import model_call
from extproc.dialects.converse.errors import error_reply
from extproc.json_codec import JsonCodec
from extproc.model import Call, ErrorReply


class BedrockCodec(JsonCodec):
    """A `JsonCodec`, but for what one of the runtime's calls must say itself."""

    operation: str | None = "chat"
    operations: str
    """How the call's own word at the path's end begins."""

    def matches(self, call: Call) -> bool:
        """Under any prefix: `/bedrock/model/X/converse`."""
        named = model_call(call)
        return named is not None and named.operation.startswith(self.operations)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        del call
        return error_event(status=status, code=code, message=message, exchange_id=exchange_id)

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        """InvokeModel's bodies are the vendor's own, and not translated: another model of the same vendor."""
        if (named := model_call(call)) is None:
            raise LookupError("this path names no model")
        return named.path_for(model), body
