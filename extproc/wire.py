"""Between protobuf bytes and events or effects: the only importer of `_pb`.

Message and field names are Envoy's (envoy.service.ext_proc.v3, envoy.data.accesslog.v3). Replies that carry no change
are by far the most frequent; they are serialised once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf.message import DecodeError

from extproc._pb import access_log_pb2, ext_proc_pb2
from extproc.errors import HeadgateError
from extproc.events import (
    Deny,
    EnvoyEvent,
    EnvoyLogged,
    Message,
    Reply,
    RequestBody,
    RequestHeaders,
    RequestTrailers,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    StreamContext,
)

PROCESS_METHOD = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
ACCESS_LOG_METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"

JWT_NAMESPACE = "envoy.filters.http.jwt_authn"
"""Dynamic metadata namespace of Envoy's jwt_authn filter; the verified payload lies under `JWT_PAYLOAD_KEY`."""
JWT_PAYLOAD_KEY = "headgate"

METADATA_NAMESPACE = "headgate"
"""Dynamic metadata that Envoy takes from us (`receiving_namespaces`)."""

SLICE_BYTES_MAX = 64 * 1024
"""Response bytes handled in one go; a larger chunk is cut, so that the loop can serve others in between."""

_CUT_OUT_BYTES_MIN = 1024 * 1024

_BUFFERED = ext_proc_pb2.ProcessingMode.BUFFERED
_DUPLEX = ext_proc_pb2.ProcessingMode(
    request_header_mode=ext_proc_pb2.ProcessingMode.SEND,
    request_body_mode=ext_proc_pb2.ProcessingMode.BUFFERED,
    request_trailer_mode=ext_proc_pb2.ProcessingMode.SEND,
    response_header_mode=ext_proc_pb2.ProcessingMode.SEND,
    response_body_mode=ext_proc_pb2.ProcessingMode.FULL_DUPLEX_STREAMED,
    response_trailer_mode=ext_proc_pb2.ProcessingMode.SEND,
)
"""Taken by Envoy only as it stands in the filter's `allowed_override_modes` (`envoy_config.filters`)."""
_OVERWRITE = ext_proc_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


def parse(message: bytes) -> Iterator[EnvoyEvent]:
    """The event of one ProcessingRequest; a long response body gives several slices of it.

    Raises `HeadgateError` (code `protocol_error`) for bytes that are no such message.
    """
    if len(message) > _CUT_OUT_BYTES_MIN and (body := cut_out_request_body(message)) is not None:
        yield body
        return
    try:
        request = ext_proc_pb2.ProcessingRequest.FromString(message)
    except DecodeError:
        raise HeadgateError("protocol_error", "not a ProcessingRequest") from None
    match request.WhichOneof("request"):
        case "request_headers":
            part = request.request_headers
            yield RequestHeaders(_headers(part.headers), part.end_of_stream, _context(request))
        case "request_body":
            yield RequestBody(request.request_body.body, request.request_body.end_of_stream)
        case "request_trailers":
            yield RequestTrailers()
        case "response_headers":
            part = request.response_headers
            yield ResponseHeaders(_headers(part.headers), part.end_of_stream, _context(request))
        case "response_body":
            yield from _slices(request.response_body.body, end_of_stream=request.response_body.end_of_stream)
        case "response_trailers":
            yield ResponseTrailers()
        case _:
            raise HeadgateError("protocol_error", "a ProcessingRequest without a message that is known here")


def cut_out_request_body(message: bytes) -> RequestBody | None:
    """The request body of a message whose first field it is, with one copy of the bytes instead of protobuf's two.

    A copy of 64 MiB holds the event loop for some 45 ms, so the fewer the better. None: read it the ordinary way.
    Protobuf's wire format: a field is `number << 3 | type`, a length-delimited one is followed by its length.
    """
    if not message or message[0] != 4 << 3 | 2:  # ProcessingRequest.request_body
        return None
    size, start = _varint(message, 1)
    end = start + size
    if end > len(message) or message[start : start + 1] != b"\x0a":  # HttpBody.body
        return None
    size, at = _varint(message, start + 1)
    rest = message[at + size : end]
    if at + size > end or rest not in (b"", b"\x10\x00", b"\x10\x01"):  # HttpBody.end_of_stream
        return None
    if _holds_a_request(message[end:]):
        return None  # protobuf would merge the two, or let the later one win
    return RequestBody(message[at : at + size], rest == b"\x10\x01")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, position after it) of a base-128 varint; what is none gives a value longer than the data."""
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return len(data) + 1, at


def _holds_a_request(data: bytes) -> bool:
    """Anything in these trailing fields that belongs to the `request` oneof, or that is no protobuf."""
    try:
        return ext_proc_pb2.ProcessingRequest.FromString(data).WhichOneof("request") is not None
    except DecodeError:
        return True


def _slices(body: bytes, *, end_of_stream: bool) -> Iterator[ResponseBody]:
    if len(body) <= SLICE_BYTES_MAX:
        yield ResponseBody(body, end_of_stream)
        return
    for start in range(0, len(body), SLICE_BYTES_MAX):
        last = start + SLICE_BYTES_MAX >= len(body)
        yield ResponseBody(body[start : start + SLICE_BYTES_MAX], end_of_stream and last, last_slice=last)


def _headers(header_map: ext_proc_pb2.HeaderMap) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for header in header_map.headers:
        value = header.raw_value.decode("latin-1") if header.raw_value else header.value
        key = header.key
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _context(request: ext_proc_pb2.ProcessingRequest) -> StreamContext:
    attributes: dict[str, str] = {}
    for struct in request.attributes.values():
        for name, value in struct.fields.items():
            kind = value.WhichOneof("kind")
            if kind == "string_value":
                attributes[name] = value.string_value
            elif kind == "number_value":
                attributes[name] = f"{value.number_value:g}"
            elif kind == "bool_value":
                attributes[name] = "true" if value.bool_value else "false"
    return StreamContext(
        observed=request.observability_mode,
        attributes=attributes,
        jwt_subject=_jwt_subject(request),
        request_body_buffered=request.protocol_config.request_body_mode == _BUFFERED,
    )


def _jwt_subject(request: ext_proc_pb2.ProcessingRequest) -> str | None:
    namespace = request.metadata_context.filter_metadata
    if JWT_NAMESPACE not in namespace:
        return None
    payload = namespace[JWT_NAMESPACE].fields
    if JWT_PAYLOAD_KEY not in payload:
        return None
    claims = payload[JWT_PAYLOAD_KEY].struct_value.fields
    return claims["sub"].string_value or None if "sub" in claims else None


def _go_on(message: Message) -> bytes:
    response = ext_proc_pb2.ProcessingResponse()
    getattr(response, message.value).SetInParent()
    return bytes(response.SerializeToString())


_CONTINUE: Mapping[Message, bytes] = {message: _go_on(message) for message in Message}


def render(effect: Reply | Deny) -> bytes:
    """One ProcessingResponse."""
    if isinstance(effect, Deny):
        return _immediate(effect)
    if effect.streamed_end is not None:
        return _streamed(effect.message, effect.body or b"", end_of_stream=effect.streamed_end)
    if effect == Reply(effect.message):
        return _CONTINUE[effect.message]
    response = ext_proc_pb2.ProcessingResponse()
    target = getattr(response, effect.message.value)
    if effect.message in (Message.REQUEST_TRAILERS, Message.RESPONSE_TRAILERS):
        mutation = target.header_mutation
    else:
        common = target.response
        mutation = common.header_mutation
        if effect.body is not None:
            if effect.body:
                common.body_mutation.body = effect.body
            else:
                common.body_mutation.clear_body = True
    _mutate(mutation, effect.set_headers, effect.remove_headers)
    if effect.duplex_response:
        response.mode_override.CopyFrom(_DUPLEX)
    if effect.exchange_id is not None:
        namespace = response.dynamic_metadata.fields[METADATA_NAMESPACE].struct_value
        namespace.fields["exchange_id"].string_value = effect.exchange_id
    return bytes(response.SerializeToString())


def _streamed(message: Message, body: bytes, *, end_of_stream: bool) -> bytes:
    """BodyMutation.streamed_response, which FULL_DUPLEX_STREAMED takes in the place of any other change."""
    response = ext_proc_pb2.ProcessingResponse()
    streamed = getattr(response, message.value).response.body_mutation.streamed_response
    streamed.body = body
    streamed.end_of_stream = end_of_stream
    return bytes(response.SerializeToString())


def _immediate(effect: Deny) -> bytes:
    reply = effect.reply
    immediate = ext_proc_pb2.ImmediateResponse(body=reply.body, details="headgate_denied")
    immediate.status.code = reply.status
    headers = {"content-type": reply.content_type, **reply.headers}
    _mutate(immediate.headers, tuple(headers.items()), ())
    return bytes(ext_proc_pb2.ProcessingResponse(immediate_response=immediate).SerializeToString())


def _mutate(
    mutation: ext_proc_pb2.HeaderMutation, set_headers: tuple[tuple[str, str], ...], remove_headers: tuple[str, ...]
) -> None:
    for name, value in set_headers:
        option = mutation.set_headers.add()
        option.header.key = name
        option.header.raw_value = value.encode("latin-1", "replace")
        option.append_action = _OVERWRITE
    mutation.remove_headers.extend(remove_headers)


def parse_access_log(message: bytes) -> Iterator[tuple[str, EnvoyLogged]]:
    """(Envoy's request id, how the exchange ended) for each entry of one StreamAccessLogsMessage."""
    try:
        log = access_log_pb2.StreamAccessLogsMessage.FromString(message)
    except DecodeError:
        raise HeadgateError("protocol_error", "not a StreamAccessLogsMessage") from None
    for entry in log.http_logs.log_entry:
        common = entry.common_properties
        ended_by = _ended_by(common.response_flags)
        attempts, status = common.upstream_request_attempt_count, entry.response.response_code.value
        yield entry.request.request_id, EnvoyLogged(ended_by, attempts or None, status or None)


def _ended_by(flags: access_log_pb2.ResponseFlags) -> str | None:
    if flags.upstream_request_timeout or flags.stream_idle_timeout or flags.duration_timeout:
        return "timed_out"
    if flags.upstream_max_stream_duration_reached:
        return "timed_out"
    if (
        flags.upstream_remote_reset
        or flags.upstream_connection_termination
        or flags.upstream_connection_failure
        or flags.upstream_protocol_error
    ):
        return "upstream_aborted"
    if flags.downstream_connection_termination or flags.downstream_remote_reset or flags.downstream_protocol_error:
        return "client_aborted"
    return "upstream_aborted" if flags.local_reset else None
