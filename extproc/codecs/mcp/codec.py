"""`mcp`: JSON-RPC messages between an agent and the servers that have its tools."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.mcp import rpc
from extproc.codecs.mcp.addresses import asks_for_mcp, says_mcp
from extproc.codecs.mcp.conversation import read_conversation
from extproc.codecs.mcp.errors import error_body, error_reply
from extproc.codecs.mcp.request import read_request
from extproc.codecs.mcp.response import NoAnswer, RpcAccount
from extproc.json_codec import JsonCodec
from extproc.model import Call, Conversation, ErrorReply, RequestFacts


class Mcp(JsonCodec):
    api = "mcp"
    operation: str | None = None

    def matches(self, call: Call) -> bool:
        return says_mcp(call) or asks_for_mcp(call)

    def recognises(self, document: Any, call: Call) -> bool:
        return call.method == "POST" and rpc.is_mcp(document)

    def request(self, document: Any, call: Call) -> RequestFacts:
        return read_request(document, session_id=call.hints.get("mcp-session-id"), strict_envelope=not says_mcp(call))

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del content_type  # the bytes tell
        if status == HTTPStatus.ACCEPTED:
            return NoAnswer()
        account = RpcAccount(method=call.method, status=status, request=request)
        return AccountingDecoder(account, status=status, request=request, metering=Metering.NOTHING)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """The error as a message of the stream: it stands for the answer that will not come."""
        del call
        body = error_body(status=status, code=code, message=message, exchange_id=exchange_id)
        return b"event: message\ndata: " + body + b"\n\n"

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        del call, body, model
        raise LookupError("an MCP call names no model")

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
