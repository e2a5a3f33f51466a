"""A minimal server of the Model Context Protocol over streamable HTTP, with one tool
(modelcontextprotocol.io/specification, "Transports").

A call of a tool is answered as server-sent events, with its progress before its result; all else as JSON.
"""

from __future__ import annotations

import re

from extproc.upstream.answers import Json, answer_id, sse
from extproc.upstream.endpoint import Endpoint, Question, Reply, events, whole

PROTOCOL_VERSION = "2025-06-18"
TOOL = {
    "name": "look_up",
    "description": "Looks a word up.",
    "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}
_CODES = {400: -32600, 401: -32001, 404: -32601}
"""JSON-RPC 2.0 §5.1; the server's own below -32000."""


def refuse(status: int, message: str) -> Reply:
    return whole(_error(None, _CODES.get(status, -32603), message), status=status)


def _answer(question: Question) -> Reply:
    call = question.body
    method, call_id = call["method"], call.get("id")
    if call_id is None:
        return Reply([], "", status=202)
    if method == "initialize":
        session = ("mcp-session-id", answer_id("session_", question.request.body))
        return whole(_result(call_id, _initialized(call)), headers=[session])
    if method == "tools/list":
        return whole(_result(call_id, {"tools": [TOOL]}))
    if method == "tools/call":
        return _called(call)
    if method == "ping":
        return whole(_result(call_id, {}))
    return whole(_error(call_id, -32601, "Method not found"))


def _initialized(call: Json) -> Json:
    params = call.get("params")
    version = params.get("protocolVersion") if isinstance(params, dict) else None
    return {
        "protocolVersion": version or PROTOCOL_VERSION,
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "simulated", "version": "1"},
    }


def _called(call: Json) -> Reply:
    params = call.get("params")
    asked = params if isinstance(params, dict) else {}
    if asked.get("name") != TOOL["name"]:
        return whole(_error(call["id"], -32602, "Unknown tool"))
    arguments = asked.get("arguments")
    word = str(arguments.get("word")) if isinstance(arguments, dict) else ""
    result = {"content": [{"type": "text", "text": f"{word}: a word that was looked up"}], "isError": False}
    progress: Json = {"method": "notifications/message", "params": {"level": "info", "data": "looking"}}
    return events([sse({"jsonrpc": "2.0", **progress}, "message"), sse(_result(call["id"], result), "message")])


def _result(call_id: object, result: Json) -> Json:
    return {"jsonrpc": "2.0", "id": call_id, "result": result}


def _error(call_id: object, code: int, message: str) -> Json:
    return {"jsonrpc": "2.0", "id": call_id, "error": {"code": code, "message": message}}


def _no_stream(question: Question) -> Reply:
    """It has nothing to say of its own accord, and keeps no session that could be ended."""
    del question
    return refuse(405, "Method not allowed")


ENDPOINTS = (
    Endpoint("POST", re.compile(r"/mcp$"), _answer, refuse, wants="method", needs_key=False),
    Endpoint("GET", re.compile(r"/mcp$"), _no_stream, refuse, needs_key=False),
    Endpoint("DELETE", re.compile(r"/mcp$"), _no_stream, refuse, needs_key=False),
)
