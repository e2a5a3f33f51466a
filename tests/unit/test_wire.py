"""Between protobuf and events."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc import principal, wire
from extproc._pb import access_log_pb2, ext_proc_pb2
from extproc.envoy_config import names
from extproc.errors import HeadgateError
from extproc.events import (
    Deny,
    Message,
    Reply,
    RequestBody,
    RequestHeaders,
    RequestTrailers,
    ResponseBody,
    ResponseTrailers,
)
from extproc.exchange import EXCHANGE_HEADER
from extproc.model import ErrorReply

ROOT = Path(__file__).parents[2]


def headers_message(*pairs: tuple[str, bytes], end: bool = False) -> ext_proc_pb2.ProcessingRequest:
    message = ext_proc_pb2.ProcessingRequest()
    for key, value in pairs:
        header = message.request_headers.headers.headers.add()
        header.key, header.raw_value = key, value
    message.request_headers.end_of_stream = end
    return message


def test_request_headers_carry_route_mode_and_proved_subject() -> None:
    message = headers_message((":path", b"/x"), ("accept", b"a"), ("accept", b"b"), end=True)
    attributes = Struct()
    attributes.update({"xds.route_name": "openai", "connection.mtls": True})
    message.attributes["envoy.filters.http.ext_proc"].CopyFrom(attributes)
    claims = Struct()
    claims.update({"headgate": {"sub": "alice", "aud": "x"}})
    message.metadata_context.filter_metadata["envoy.filters.http.jwt_authn"].CopyFrom(claims)
    message.observability_mode = True
    message.protocol_config.request_body_mode = ext_proc_pb2.ProcessingMode.BUFFERED
    (event,) = wire.parse(message.SerializeToString())
    assert isinstance(event, RequestHeaders)
    assert event.headers == {":path": "/x", "accept": "a, b"}
    assert event.end_of_stream
    assert event.context.attributes == {"xds.route_name": "openai", "connection.mtls": "true"}
    assert event.context.jwt_subject == "alice"
    assert event.context.observed
    assert event.context.request_body_buffered


def test_a_subject_outside_the_filters_own_metadata_is_nobody() -> None:
    message = headers_message((":path", b"/x"))
    forged = Struct()
    forged.update({"headgate": {"sub": "mallory"}})
    message.metadata_context.filter_metadata["some.other.filter"].CopyFrom(forged)
    (event,) = wire.parse(message.SerializeToString())
    assert isinstance(event, RequestHeaders)
    assert event.context.jwt_subject is None


def test_the_names_that_envoys_configuration_writes_are_the_names_that_are_read() -> None:
    assert wire.JWT_NAMESPACE == names.JWT_FILTER
    assert wire.JWT_PAYLOAD_KEY == names.JWT_METADATA_KEY
    assert wire.METADATA_NAMESPACE == names.METADATA_NAMESPACE
    assert principal.CLIENT_HEADER == names.CLIENT_HEADER
    assert EXCHANGE_HEADER == names.EXCHANGE_HEADER


def test_events_do_not_print_headers_or_bodies() -> None:
    (event,) = wire.parse(headers_message(("authorization", b"Bearer sk-secret")).SerializeToString())
    assert "sk-secret" not in repr(event)
    assert "private" not in repr(RequestBody(b"private", True))


def test_a_long_response_chunk_is_cut_into_slices_of_which_the_last_is_answered() -> None:
    message = ext_proc_pb2.ProcessingRequest()
    body = bytes(range(256)) * 1024
    message.response_body.body = body
    message.response_body.end_of_stream = True
    slices = list(wire.parse(message.SerializeToString()))
    assert all(isinstance(s, ResponseBody) for s in slices)
    parts = [s for s in slices if isinstance(s, ResponseBody)]
    assert b"".join(s.data for s in parts) == body
    assert max(len(s.data) for s in parts) == wire.SLICE_BYTES_MAX
    assert [s.last_slice for s in parts] == [False] * (len(parts) - 1) + [True]
    assert [s.end_of_stream for s in parts] == [False] * (len(parts) - 1) + [True]


def test_trailers_are_events_of_their_own() -> None:
    first = ext_proc_pb2.ProcessingRequest()
    first.request_trailers.SetInParent()
    second = ext_proc_pb2.ProcessingRequest()
    second.response_trailers.SetInParent()
    assert list(wire.parse(first.SerializeToString())) == [RequestTrailers()]
    assert list(wire.parse(second.SerializeToString())) == [ResponseTrailers()]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans(), st.booleans(), st.sampled_from(["", "headers", "body", "junk"]))
def test_a_request_body_cut_out_by_hand_is_the_one_that_protobuf_reads(
    body: bytes, end: bool, observed: bool, after: str
) -> None:
    message = ext_proc_pb2.ProcessingRequest(observability_mode=observed)
    message.request_body.body = body
    message.request_body.end_of_stream = end
    data = message.SerializeToString()
    if after == "headers":
        data += headers_message((":path", b"/x")).SerializeToString()
    elif after == "body":
        data += ext_proc_pb2.ProcessingRequest(request_body=ext_proc_pb2.HttpBody(body=b"other")).SerializeToString()
    elif after == "junk":
        data += b"\xff\xff\xff"
    cut = wire.cut_out_request_body(data)
    if cut is None:
        assert after or not body  # only what is odd is left to protobuf
    else:
        assert [cut] == list(wire.parse(data))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=40).map(lambda tail: b"\x22" + tail))
def test_whatever_is_cut_out_of_any_bytes_is_what_protobuf_reads(data: bytes) -> None:
    cut = wire.cut_out_request_body(data)
    if cut is not None:
        assert [cut] == list(wire.parse(data))


def test_a_body_of_megabytes_arrives_whole() -> None:
    message = ext_proc_pb2.ProcessingRequest()
    message.request_body.body = bytes(range(256)) * 8192
    message.request_body.end_of_stream = True
    assert list(wire.parse(message.SerializeToString())) == [RequestBody(message.request_body.body, True)]


def test_an_empty_message_is_a_protocol_error_and_never_an_answer() -> None:
    with pytest.raises(HeadgateError) as error:
        list(wire.parse(b""))
    assert error.value.code == "protocol_error"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_a_protocol_error(data: bytes) -> None:
    try:
        list(wire.parse(data))
        list(wire.parse_access_log(data))
    except HeadgateError as error:
        assert error.code == "protocol_error"  # noqa: PT017


@pytest.mark.parametrize("message", list(Message))
def test_a_bare_reply_sets_exactly_the_field_of_its_message(message: Message) -> None:
    response = ext_proc_pb2.ProcessingResponse.FromString(wire.render(Reply(message)))
    assert response.WhichOneof("response") == message.value
    assert response.ByteSize() == 2  # a tag and an empty message: nothing is changed


def test_a_reply_with_changes_overwrites_headers_and_body() -> None:
    effect = Reply(Message.REQUEST_BODY, (("content-type", "application/json"),), ("content-encoding",), b"{}")
    common = ext_proc_pb2.ProcessingResponse.FromString(wire.render(effect)).request_body.response
    assert common.body_mutation.body == b"{}"
    assert common.header_mutation.remove_headers == ["content-encoding"]
    (option,) = common.header_mutation.set_headers
    assert (option.header.key, option.header.raw_value) == ("content-type", b"application/json")
    assert option.append_action == ext_proc_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


def test_an_empty_replacement_clears_the_body() -> None:
    common = ext_proc_pb2.ProcessingResponse.FromString(wire.render(Reply(Message.REQUEST_BODY, body=b"")))
    assert common.request_body.response.body_mutation.clear_body


def test_a_denial_is_an_immediate_response_with_status_body_and_headers() -> None:
    effect = Deny(ErrorReply(403, b'{"error":1}', headers={"x-should-retry": "false"}))
    immediate = ext_proc_pb2.ProcessingResponse.FromString(wire.render(effect)).immediate_response
    assert immediate.status.code == 403
    assert immediate.body == b'{"error":1}'
    named = {o.header.key: o.header.raw_value for o in immediate.headers.set_headers}
    assert named == {"content-type": b"application/json", "x-should-retry": b"false"}


@pytest.mark.parametrize(
    ("flag", "ended_by"),
    [
        ("downstream_connection_termination", "client_aborted"),
        ("downstream_remote_reset", "client_aborted"),
        ("upstream_connection_termination", "upstream_aborted"),
        ("upstream_remote_reset", "upstream_aborted"),
        ("upstream_protocol_error", "upstream_aborted"),
        ("upstream_request_timeout", "timed_out"),
        ("stream_idle_timeout", "timed_out"),
        ("duration_timeout", "timed_out"),
    ],
)
def test_envoys_flags_say_who_ended_an_exchange(flag: str, ended_by: str) -> None:
    message = access_log_pb2.StreamAccessLogsMessage()
    entry = message.http_logs.log_entry.add()
    entry.request.request_id = "r1"
    entry.common_properties.upstream_request_attempt_count = 2
    setattr(entry.common_properties.response_flags, flag, True)
    ((request_id, logged),) = wire.parse_access_log(message.SerializeToString())
    assert request_id == "r1"
    assert (logged.ended_by, logged.attempts, logged.http_status) == (ended_by, 2, None)
    entry.response.response_code.value = 502
    ((_, logged),) = wire.parse_access_log(message.SerializeToString())
    assert logged.http_status == 502


def test_full_duplex_is_asked_for_as_the_filter_allows_it() -> None:
    """Envoy takes an override only when it is one of `allowed_override_modes` to the letter."""
    sent = wire.render(Reply(Message.REQUEST_HEADERS, duplex_response=True))
    response = ext_proc_pb2.ProcessingResponse.FromString(sent)
    assert response.WhichOneof("response") == "request_headers"
    bootstrap = yaml.safe_load((ROOT / "envoy" / "envoy.yaml").read_text(encoding="utf-8"))
    (listener,) = bootstrap["static_resources"]["listeners"]
    chain = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    (decide,) = [node["typed_config"] for node in chain if node["name"] == names.DECIDE_FILTER]
    allowed = [json_format.ParseDict(mode, ext_proc_pb2.ProcessingMode()) for mode in decide["allowed_override_modes"]]
    assert response.mode_override in allowed
    assert response.mode_override.response_body_mode == ext_proc_pb2.ProcessingMode.FULL_DUPLEX_STREAMED


@pytest.mark.parametrize("end", [False, True])
def test_bytes_of_a_full_duplex_response_are_streamed_responses(end: bool) -> None:
    sent = wire.render(Reply(Message.RESPONSE_BODY, body=b"x" if not end else b"", streamed_end=end))
    mutation = ext_proc_pb2.ProcessingResponse.FromString(sent).response_body.response.body_mutation
    assert mutation.WhichOneof("mutation") == "streamed_response"
    assert (mutation.streamed_response.body, mutation.streamed_response.end_of_stream) == (b"" if end else b"x", end)
