"""`inspect`: what the codecs and detectors make of recorded exchanges, without a stack."""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extproc.commands import Subparsers

if TYPE_CHECKING:
    from extproc.codec import Codec
    from extproc.commands.recorded import Recorded
    from extproc.model import Conversation, Inspection, Message, Part, RequestFacts, ResponseFacts, Usage

FEED_BYTES = 64 * 1024
_FIGURES = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_output_tokens",
)


def add_parsers(subparsers: Subparsers) -> None:
    inspect = subparsers.add_parser(
        "inspect",
        help="decode recorded exchanges into normalised JSON, one object per line",
        description="Decodes recorded exchanges: folders with request.json, request.body, response.json and "
        "response.body (bodies may also stand inside of the JSON files), or the entries of a HAR file. `usage` is what "
        "the provider said, counted as OpenTelemetry counts; `estimated_usage` fills its gaps. Exits with 1 when "
        "something is no recording.",
    )
    inspect.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="a recording, a folder of them, or a .har file"
    )
    inspect.set_defaults(run=run_inspect)


def run_inspect(arguments: argparse.Namespace) -> int:
    from extproc.commands.recorded import Recorded, recordings

    found_fault = False
    for path in arguments.paths:
        for item in recordings(path):
            if isinstance(item, Recorded):
                row = describe(item)
            else:
                name, why = item
                row, found_fault = {"id": name, "unreadable": str(why)}, True
            print(_line(row))
    return 1 if found_fault else 0


def _line(row: dict[str, Any]) -> str:
    """`row` as JSON, in its own letters unless it holds half a surrogate pair, which only an escape can say."""
    line = json.dumps(row, ensure_ascii=False, default=_plain)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(row, default=_plain)
    return line


def describe(recorded: Recorded) -> dict[str, Any]:
    """One exchange as a JSON object; docs/apis.md says what each member means."""
    from extproc.codecs import CODECS, codec_for
    from extproc.provider_names import provider_of

    call = recorded.call
    codec = codec_for(call)
    inspection = _inspected(codec, recorded)
    codec = CODECS.get(inspection.api or "", codec)
    body, decode_warnings = _decoded(recorded)
    response = _response(codec, recorded, inspection, body)
    conversation = codec.conversation(call, inspection.decoded_body or recorded.request_body or None, body or None)
    facts = inspection.facts
    warnings = (*decode_warnings, *response.warnings, *conversation.warnings)
    return {
        "id": recorded.id,
        "api": codec.api,
        "provider": provider_of(call, codec.api, port=recorded.port),
        "operation": codec.operation,
        "host": call.host,
        "path": call.path,
        "status": recorded.status,
        "stream": facts.stream or (not recorded.request_body and _is_event_stream(recorded.response_type)),
        "request_model": facts.model,
        "response_model": response.model,
        "response_id": response.response_id,
        "finish_reasons": list(response.finish_reasons),
        "usage": _figures(response.said),
        "usage_source": response.usage.source.value,
        "estimated_usage": None if response.usage.source in ("provider", "none") else _figures(response.usage),
        "provider_usage": json.loads(response.provider_usage) if response.provider_usage else None,
        "service_tier": response.service_tier,
        "system_text": conversation.system_text,
        "messages": [_message(message) for message in conversation.messages],
        "request_message_count": conversation.request_message_count,
        "tool_calls": [
            {"id": part.tool_call_id, "name": part.tool_name, "arguments": part.arguments}
            for part in _calls(facts, conversation)
        ],
        "tools": list(conversation.tools),
        "response_text": conversation.response_text,
        "reasoning_text": conversation.reasoning_text,
        "error": asdict(response.error) if response.error is not None else None,
        "terminal": response.terminal,
        "request": {
            "max_output_tokens": facts.max_output_tokens,
            "choices": facts.choices,
            "temperature": facts.temperature,
            "parameters": dict(facts.parameters),
            "called_tools": list(facts.called_tools),
            "rpc_methods": list(facts.rpc_methods),
            "previous_response_id": facts.previous_response_id,
            "conversation_id": facts.conversation_id,
            "uninspected_parts": [asdict(part) for part in facts.uninspected_parts],
            "problem": asdict(inspection.problem) if inspection.problem is not None else None,
            "findings": [asdict(finding) for finding in inspection.findings],
        },
        "warnings": list(dict.fromkeys(warnings)),
    }


def _calls(facts: RequestFacts, conversation: Conversation) -> tuple[Part, ...]:
    """The calls in the answer; where the request itself is a call (MCP), that one."""
    if not facts.called_tools:
        return conversation.tool_calls
    asked = conversation.messages[: conversation.request_message_count]
    return tuple(part for message in asked for part in message.parts if part.type == "tool_call")


def _inspected(codec: Codec, recorded: Recorded) -> Inspection:
    """As the gate would read it; where the gate would refuse it, with the facts that can be read all the same."""
    from extproc.detectors import DETECTORS
    from extproc.errors import ClientError
    from extproc.framing import tolerant_json
    from extproc.inspection import inspect_request
    from extproc.model import Inspection, Limits, RequestFacts
    from extproc.scanner import Scanner
    from extproc.shape import as_name, as_object

    if not recorded.request_body:  # the path may name the model all the same
        with contextlib.suppress(ClientError):
            return Inspection(facts=codec.request({}, recorded.call))
        return Inspection()
    inspection = inspect_request(
        codec,
        recorded.call,
        recorded.request_body,
        scanner=Scanner(DETECTORS),
        limits=Limits(),
        budget=lambda: None,
    )
    if inspection.problem is None:
        return inspection
    body = inspection.decoded_body or recorded.request_body
    for read in (tolerant_json.loads, lambda data: tolerant_json.loads_prefix(data)[0]):
        with contextlib.suppress(ValueError, ClientError):
            return replace(inspection, facts=codec.request(read(body), recorded.call))
    named = as_object(tolerant_json.loads_or_none(body))
    return replace(
        inspection, facts=RequestFacts(model=as_name(named.get("model")) or None, stream=named.get("stream") is True)
    )


def _is_event_stream(content_type: str | None) -> bool:
    return (content_type or "").lstrip().lower().startswith("text/event-stream")


def _decoded(recorded: Recorded) -> tuple[bytes, tuple[str, ...]]:
    from extproc.errors import HeadgateError
    from extproc.framing.content_encoding import decode_all
    from extproc.model import Limits

    limits = Limits()
    try:
        body = decode_all(
            recorded.response_body,
            recorded.response_encoding,
            bytes_max=limits.body_bytes_max,
            ratio_max=limits.decoded_ratio_max,
        )
    except HeadgateError as error:
        return b"", (error.code,)
    return body, ()


def _response(codec: Codec, recorded: Recorded, inspection: Inspection, body: bytes) -> ResponseFacts:
    from extproc.model import ResponseFacts

    if recorded.status is None:
        return ResponseFacts(warnings=("no_response",))
    decoder = codec.response(
        call=recorded.call, status=recorded.status, content_type=recorded.response_type, request=inspection.facts
    )
    decoder.take_head(recorded.response_hints)
    for start in range(0, len(body), FEED_BYTES):
        decoder.feed(body[start : start + FEED_BYTES])
    return decoder.finish(complete=True)


def _figures(usage: Usage) -> dict[str, int | None]:
    return {name: getattr(usage, name) for name in _FIGURES}


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": [_part(part) for part in message.parts]}


def _part(part: Part) -> dict[str, Any]:
    named = {
        "type": part.type,
        "text": part.text,
        "id": part.tool_call_id,
        "name": part.tool_name,
        "arguments": part.arguments,
        "media_type": part.media_type,
    }
    return {name: value for name, value in named.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
