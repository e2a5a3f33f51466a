"""What was said in a stored MCP exchange: for people and SQL, so what cannot be read is left out.

Each JSON-RPC message is one message here, in order, so that a batch reads like its parts:

    tools/call                      assistant: tool_call       ─►  tool: tool_result (and media)
    prompts/get                     client: its JSON           ─►  the prompt's own messages
    resources/read                  client: its JSON           ─►  server: text, file
    initialize, server/discover     client: its JSON           ─►  server: its JSON, then its instructions as text
    sampling/createMessage (from the server)                   its own messages; the client's answer in the next request
    everything else                 its JSON, as an `unknown` part, from `client` or `server`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from extproc.codecs.mcp import rpc
from extproc.codecs.mcp.content import content_parts, resource_parts, rest_parts, said_messages, tool_result_parts
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text, unknown_part

CLIENT, SERVER = "client", "server"


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    sent = list(rpc.messages(tolerant_json.loads_or_none(request_body)))
    received = list(_received(response_body))
    called = {rpc.id_text(message): message for message in sent if "method" in message}
    asked = [_client_message(message) for message in sent]
    texts: list[str | None] = []
    answers: list[Message] = []
    for message in received:
        answered = list(_server_messages(message, called))
        answers += answered
        if rpc.is_response(message):
            texts += (part.text for said in answered for part in said.parts if _is_answer_text(part))
    return Conversation(
        messages=(*asked, *answers),
        request_message_count=len(asked),
        response_text=joined(texts),
        tools=tuple(name for message in received for name in _tool_names(message)),
    )


def _received(body: bytes | None) -> Iterator[dict[str, Any]]:
    """The messages of a JSON answer or a stream, the first `MESSAGES_MAX` of them."""
    every = (message for document, _ in ResponseBody().documents(body) for message in rpc.messages(document))
    return islice(every, rpc.MESSAGES_MAX)


def _is_answer_text(part: Part) -> bool:
    """Text for people; structured content says the same for programs."""
    return part.type == "text" or (part.type == "tool_result" and part.media_type is None)


def _tool_names(message: dict[str, Any]) -> Iterator[str]:
    """Tools that the server has, or those it offers to the client's model."""
    for holder in (message.get("result"), message.get("params")):
        for tool in as_list(as_object(holder).get("tools")):
            if name := as_name(as_object(tool).get("name")):
                yield name


def _client_message(message: dict[str, Any]) -> Message:
    params = as_object(message.get("params"))
    if message.get("method") == "tools/call":
        call = Part(
            "tool_call",
            tool_call_id=rpc.id_text(message) or None,
            tool_name=as_name(params.get("name")) or None,
            arguments=json_text(params.get("arguments", {})),
        )
        answers = as_object(params.get("inputResponses")).values()
        given = (part for answer in answers for part in _input_parts(as_object(answer)))
        return Message("assistant", (call, *given, *rest_parts(params, "name", "arguments", "inputResponses")))
    result = as_object(message.get("result"))
    if type(result.get("role")) is str:  # what the client's model said to the server
        return Message(as_name(result["role"]), tuple(_input_parts(result)))
    return Message(CLIENT, (_json(message),))


def _input_parts(answer: dict[str, Any]) -> Iterator[Part]:
    """What a client gave a server that asked it for something: its model's words, or what its user filled in."""
    if type(answer.get("role")) is str:
        yield from content_parts(answer.get("content"))
        yield from rest_parts(answer, "role", "content")
    else:
        yield unknown_part(answer)


def _server_messages(message: dict[str, Any], called: Mapping[str, dict[str, Any]]) -> Iterator[Message]:
    params = as_object(message.get("params"))
    if message.get("method") == "sampling/createMessage":
        if system := as_text(params.get("systemPrompt")):
            yield Message("system", (Part("text", system),))
        yield from said_messages(params)
        yield from _rest(params, "systemPrompt", "messages")
    elif rpc.is_response(message) and "result" in message:
        yield from _result_messages(message, called)
    else:
        yield Message(SERVER, (_json(message),))


def _result_messages(message: dict[str, Any], called: Mapping[str, dict[str, Any]]) -> Iterator[Message]:
    result = as_object(message.get("result"))
    call_id = rpc.id_text(message)
    call = called.get(call_id, {})
    if "structuredContent" in result or ("content" in result and "role" not in result):
        name = as_name(as_object(call.get("params")).get("name")) or None
        yield Message("tool", tuple(tool_result_parts(result, call_id or None, name)))
    elif "messages" in result:
        yield from said_messages(result)
        yield from _rest(result, "messages")
    elif "contents" in result:
        held = map(as_object, as_list(result["contents"]))
        yield Message(SERVER, tuple(part for resource in held for part in resource_parts(resource)))
    elif type(result.get("instructions")) is str:
        rest = {key: value for key, value in result.items() if key != "instructions"}
        yield Message(SERVER, (unknown_part(rest), Part("text", result["instructions"])))
    else:
        yield Message(SERVER, (unknown_part(result),))


def _rest(holder: dict[str, Any], *told: str) -> Iterator[Message]:
    if parts := tuple(rest_parts(holder, *told)):
        yield Message(SERVER, parts)


def _json(message: dict[str, Any]) -> Part:
    """A message without the envelope that every one has."""
    return unknown_part({key: value for key, value in message.items() if key not in ("jsonrpc", "id")})
