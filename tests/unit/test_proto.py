"""Our proto is wire-compatible with Envoy's: proved against envoy-data-plane's messages, field by field."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from extproc._pb import access_log_pb2, ext_proc_pb2

_TYPES = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_MESSAGE: "message",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_UINT32: "uint32",
}

PAIRS = {
    "ProcessingRequest": ("service.ext_proc.v3", "ProcessingRequest"),
    "ProtocolConfiguration": ("service.ext_proc.v3", "ProtocolConfiguration"),
    "ProcessingResponse": ("service.ext_proc.v3", "ProcessingResponse"),
    "HttpHeaders": ("service.ext_proc.v3", "HttpHeaders"),
    "HttpBody": ("service.ext_proc.v3", "HttpBody"),
    "HttpTrailers": ("service.ext_proc.v3", "HttpTrailers"),
    "HeadersResponse": ("service.ext_proc.v3", "HeadersResponse"),
    "BodyResponse": ("service.ext_proc.v3", "BodyResponse"),
    "TrailersResponse": ("service.ext_proc.v3", "TrailersResponse"),
    "CommonResponse": ("service.ext_proc.v3", "CommonResponse"),
    "ImmediateResponse": ("service.ext_proc.v3", "ImmediateResponse"),
    "HeaderMutation": ("service.ext_proc.v3", "HeaderMutation"),
    "BodyMutation": ("service.ext_proc.v3", "BodyMutation"),
    "StreamedBodyResponse": ("service.ext_proc.v3", "StreamedBodyResponse"),
    "HttpStatus": ("type.v3", "HttpStatus"),
    "HeaderMap": ("config.core.v3", "HeaderMap"),
    "HeaderValue": ("config.core.v3", "HeaderValue"),
    "HeaderValueOption": ("config.core.v3", "HeaderValueOption"),
    "Metadata": ("config.core.v3", "Metadata"),
    "ProcessingMode": ("extensions.filters.http.ext_proc.v3", "ProcessingMode"),
}
LOG_PAIRS = {
    "StreamAccessLogsMessage": ("service.accesslog.v3", "StreamAccessLogsMessage"),
    "HTTPAccessLogEntry": ("data.accesslog.v3", "HttpAccessLogEntry"),
    "AccessLogCommon": ("data.accesslog.v3", "AccessLogCommon"),
    "ResponseFlags": ("data.accesslog.v3", "ResponseFlags"),
    "HTTPRequestProperties": ("data.accesslog.v3", "HttpRequestProperties"),
    "HTTPResponseProperties": ("data.accesslog.v3", "HttpResponseProperties"),
}


def _theirs(module: str, name: str) -> Any:
    package = __import__(f"envoy_data_plane.envoy.{module}", fromlist=[name])
    return getattr(package, name)


def _compare(ours: Descriptor, theirs: Any) -> None:
    known = {f.metadata["betterproto"].number: f for f in dataclasses.fields(theirs)}
    for field in ours.fields:
        other = known[field.number]
        assert other.name == field.name
        kind = other.metadata["betterproto"].proto_type
        if kind == "map":
            assert field.message_type.GetOptions().map_entry
            continue
        expected = _TYPES[field.type]
        # An enum is an int32 on the wire: HttpStatus.code is declared as the number that it is.
        assert kind == expected or (kind == "enum" and expected == "int32")


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_each_ext_proc_field_has_envoys_number_name_and_type(name: str) -> None:
    _compare(ext_proc_pb2.DESCRIPTOR.message_types_by_name[name], _theirs(*PAIRS[name]))


@pytest.mark.parametrize("name", sorted(LOG_PAIRS))
def test_each_access_log_field_has_envoys_number_name_and_type(name: str) -> None:
    _compare(access_log_pb2.DESCRIPTOR.message_types_by_name[name], _theirs(*LOG_PAIRS[name]))


def test_every_message_of_the_proto_is_compared() -> None:
    assert set(ext_proc_pb2.DESCRIPTOR.message_types_by_name) == set(PAIRS)
    assert set(access_log_pb2.DESCRIPTOR.message_types_by_name) == set(LOG_PAIRS)


def test_enum_numbers_are_envoys() -> None:
    from envoy_data_plane.envoy.config.core import v3 as core
    from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as filters

    ours = ext_proc_pb2.ProcessingMode.BodySendMode.items()
    theirs = {m.name: m.value for m in filters.ProcessingModeBodySendMode}
    assert all(theirs[name] == number for name, number in ours)
    actions = {m.name: m.value for m in core.HeaderValueOptionHeaderAppendAction}
    assert all(actions[name] == number for name, number in ext_proc_pb2.HeaderValueOption.HeaderAppendAction.items())


def test_envoys_own_encoding_of_a_request_is_read_by_our_types() -> None:
    from envoy_data_plane.envoy.config.core import v3 as core
    from envoy_data_plane.envoy.service.ext_proc import v3 as theirs

    message = theirs.ProcessingRequest(
        request_headers=theirs.HttpHeaders(
            headers=core.HeaderMap(headers=[core.HeaderValue(key=":path", raw_value=b"/v1/x")]), end_of_stream=True
        ),
        observability_mode=True,
    )
    ours = ext_proc_pb2.ProcessingRequest.FromString(bytes(message))
    assert ours.request_headers.headers.headers[0].raw_value == b"/v1/x"
    assert ours.request_headers.end_of_stream
    assert ours.observability_mode
