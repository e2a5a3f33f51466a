"""Reads JSON-RPC messages strictly (MCP specification, "Base protocol", "Tools", "Sampling")."""

from __future__ import annotations

import hashlib
from typing import Any

from extproc.codecs.mcp.rpc import MESSAGES_MAX, VERSION
from extproc.errors import ClientError
from extproc.framing.json_strings import escape
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part
from extproc.model import RequestFacts
from extproc.shape import Fields, as_object, as_text, invalid, text_size

ENVELOPE_KEYS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_PARAMS_KEYS = frozenset({"name", "arguments", "messages", "uri", "inputResponses"})
_RESULT_KEYS = frozenset({"role", "content", "structuredContent", "messages", "contents"})
_CONTENT_KEYS = frozenset({"type", "text", "data", "resource", "content", "input", "structuredContent"})
_RESOURCE_KEYS = frozenset({"uri", "text", "blob", "mimeType"})
RESPONSE = "(response)"
"""Stands among the methods for a message that answers the server and so has none."""
BLOCKS_DEEP_MAX = 8
"""Content within content (an image in a tool's result); what lies deeper is called unknown, so uninspected."""
_TEXT_BLOCKS = frozenset({"text", "tool_use", "tool_result"})
_MEDIA_KINDS = {"image": "image", "audio": "audio"}


def session_conversation(session_id: str | None) -> str | None:
    """A session's id as the archive may hold it: servers let whoever knows the id take part, so only its digest."""
    return hashlib.sha256(session_id.encode("utf-8", "replace")).hexdigest()[:32] if session_id else None


def read_request(document: Any, *, session_id: str | None, strict_envelope: bool) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`).

    `strict_envelope`: refuse whatever stands beside JSON-RPC's own members. Where only the client says that this is
    MCP, another server could take those members for its own.
    """
    if type(document) is list and not 0 < len(document) <= MESSAGES_MAX:
        raise invalid("a batch", f"one of 1 to {MESSAGES_MAX} messages")
    batch = document if type(document) is list else [document]
    messages = _Messages(strict_envelope=strict_envelope)
    for index, message in enumerate(batch):
        messages.read(message, f"/{index}" if type(document) is list else "")
    return RequestFacts(
        message_count=len(batch),
        text_bytes=messages.text_bytes,
        uninspected_parts=tuple(messages.parts),
        called_tools=tuple(messages.called_tools),
        rpc_methods=tuple(messages.methods),
        conversation_id=session_conversation(session_id),
    )


class _Messages:
    def __init__(self, *, strict_envelope: bool) -> None:
        self.methods: list[str] = []
        self.called_tools: list[str] = []
        self.text_bytes = 0
        self.parts = Parts()
        self._strict_envelope = strict_envelope

    def read(self, item: Any, where: str) -> None:
        message = Fields(item)
        message.refuse_lookalikes(ENVELOPE_KEYS)
        if self._strict_envelope and (item.keys() - ENVELOPE_KEYS):
            raise ClientError("invalid_request", "a JSON-RPC message has jsonrpc, id, method, params, result or error")
        if message.text("jsonrpc") != VERSION:
            raise invalid("jsonrpc", f'"{VERSION}"')
        if type(message.raw("id")) not in (int, str, type(None)):
            raise invalid("id", "a string or an integer")
        method = message.text("method")
        answers = [key for key in ("result", "error") if message.raw(key) is not None]
        if method is None and len(answers) == 1:
            self._read_response(message, where)
        elif method and not answers:
            self._read_call(message, method, where)
        else:
            raise invalid("method", "a string, in a message that has neither a result nor an error")

    def _read_call(self, message: Fields, method: str, where: str) -> None:
        self.methods.append(method)
        params = message.fields("params")
        params.refuse_lookalikes(_PARAMS_KEYS)
        if method == "tools/call":
            name = params.text("name")
            if not name:
                raise invalid("params.name", "a tool's name")
            params.fields("arguments")  # an object or nothing
            self.called_tools.append(name)
        self._count(message.raw("params"))
        for index, said in params.objects("messages"):
            self._read_content(said, "content", f"{where}/params/messages/{index}/content", 0)
        answers = params.fields("inputResponses")  # what a server asked for in its last answer (2026-07-28)
        for key in as_object(params.raw("inputResponses")):
            self._read_result(answers.fields(key), f"{where}/params/inputResponses/{escape(key)}")

    def _read_response(self, message: Fields, where: str) -> None:
        """The client's answer to the server: what its model said, what its user filled in, its roots."""
        self.methods.append(RESPONSE)
        if message.raw("id") is None and message.raw("error") is None:
            raise invalid("id", "that of the request it answers")
        error = message.fields("error")
        error.text("message")
        self._count(message.raw("error"))
        self._count(message.raw("result"))
        self._read_result(message.fields("result"), f"{where}/result")

    def _read_result(self, result: Fields, where: str) -> None:
        result.refuse_lookalikes(_RESULT_KEYS)
        content = result.raw("content")
        # What a user filled in is an object without a type; its values are text.
        if type(content) is list or (type(content) is dict and "type" in content):
            self._read_content(result, "content", f"{where}/content", 0)

    def _read_content(self, holder: Fields, key: str, where: str, depth: int) -> None:
        """The block, or the list of blocks, at `key`."""
        content = holder.raw(key)
        if content is None or type(content) is str:
            return
        if type(content) is dict:
            self._read_block(holder.fields(key), content, where, depth)
            return
        for index, block in holder.objects(key):
            self._read_block(block, content[index], f"{where}/{index}", depth)

    def _read_block(self, block: Fields, item: dict[str, Any], where: str, depth: int) -> None:
        block.refuse_lookalikes(_CONTENT_KEYS)
        kind = block.text("type") or ""
        if kind in _MEDIA_KINDS:
            data = block.text("data") or ""
            self.text_bytes -= len(data)
            self.parts.append(base64_part(_MEDIA_KINDS[kind], where, data, as_text(item.get("mimeType"))))
        elif kind == "resource_link":
            self.parts.add("reference", where)
        elif kind == "resource":
            self._read_resource(block.fields("resource"), f"{where}/resource")
        elif kind not in _TEXT_BLOCKS or depth >= BLOCKS_DEEP_MAX:
            self.parts.add("unknown", where)
        else:
            block.text("text")
            self._read_content(block, "content", f"{where}/content", depth + 1)

    def _read_resource(self, resource: Fields, where: str) -> None:
        resource.refuse_lookalikes(_RESOURCE_KEYS)
        if (blob := resource.text("blob")) is not None:
            self.text_bytes -= len(blob)
            self.parts.append(base64_part("file", where, blob, resource.text("mimeType") or ""))
        else:
            resource.text("text")

    def _count(self, value: Any) -> None:
        if value is not None:
            self.text_bytes += utf8_size(value) if type(value) is str else text_size(value)
