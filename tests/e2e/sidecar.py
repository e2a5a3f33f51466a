"""An ext_proc server that judges nothing and writes down all it is told: what does Envoy really send?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from extproc._pb import access_log_pb2, ext_proc_pb2

EXCHANGE_ID = "01989d3e-0000-7000-8000-000000000001"


@dataclass
class Stream:
    """One ext_proc stream, as it was seen."""

    kinds: list[str] = field(default_factory=list)
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By message kind."""
    metadata: dict[str, Any] = field(default_factory=dict)
    observed: bool = False
    request_body: bytes = b""
    response_body_bytes: int = 0
    ended: bool = False


class Sidecar:
    """Answers `x-test-deny` with an immediate 403, anything else by letting it pass."""

    def __init__(self, socket: Path) -> None:
        self.streams: list[Stream] = []
        self.logged: list[Any] = []
        self._changed = threading.Condition()
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=64), options=[("grpc.max_receive_message_length", -1)]
        )
        process = grpc.stream_stream_rpc_method_handler(
            self._process, ext_proc_pb2.ProcessingRequest.FromString, ext_proc_pb2.ProcessingResponse.SerializeToString
        )
        log = grpc.stream_unary_rpc_method_handler(
            self._log, access_log_pb2.StreamAccessLogsMessage.FromString, lambda _: b""
        )
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "envoy.service.ext_proc.v3.ExternalProcessor", {"Process": process}
                ),
                grpc.method_handlers_generic_handler(
                    "envoy.service.accesslog.v3.AccessLogService", {"StreamAccessLogs": log}
                ),
            )
        )
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def forget(self) -> None:
        with self._changed:
            self.streams.clear()
            self.logged.clear()

    def wait_for(self, holds: Any, within_s: float = 10.0) -> None:
        """Wait until `holds(self)`."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while not holds(self):
                if not self._changed.wait(deadline - time.monotonic()):
                    raise AssertionError(f"not seen within {within_s} s: {[s.kinds for s in self.streams]}")

    def only_stream(self) -> Stream:
        """The one stream that there was, ended."""
        self.wait_for(lambda me: me.streams and all(stream.ended for stream in me.streams))
        assert len(self.streams) == 1, [stream.kinds for stream in self.streams]
        return self.streams[0]

    def _process(self, messages: Iterator[Any], context: Any) -> Iterator[Any]:
        stream = Stream()
        with self._changed:
            self.streams.append(stream)
        try:
            for message in messages:
                kind = message.WhichOneof("request")
                with self._changed:
                    _note(stream, message, kind)
                    self._changed.notify_all()
                if not message.observability_mode:
                    yield _answer(kind, stream)
        except grpc.RpcError:
            pass
        finally:
            with self._changed:
                stream.ended = True
                self._changed.notify_all()

    def _log(self, messages: Iterator[Any], context: Any) -> None:
        try:
            for message in messages:
                with self._changed:
                    self.logged.extend(message.http_logs.log_entry)
                    self._changed.notify_all()
        except grpc.RpcError:
            pass


def _note(stream: Stream, message: Any, kind: str) -> None:
    part = getattr(message, kind)
    stream.kinds.append(kind)
    stream.observed = message.observability_mode
    for bag in message.attributes.values():
        stream.attributes.setdefault(kind, {}).update(_plain(bag))
    for name, bag in message.metadata_context.filter_metadata.items():
        stream.metadata[name] = _plain(bag)
    if kind.endswith("_headers"):
        headers = {h.key: (h.raw_value or h.value.encode()).decode() for h in part.headers.headers}
        setattr(stream, kind, headers)
    elif kind == "request_body":
        stream.request_body += part.body
    elif kind == "response_body":
        stream.response_body_bytes += len(part.body)


def _plain(bag: Any) -> dict[str, Any]:
    def value(item: Any) -> Any:
        kind = item.WhichOneof("kind")
        return _plain(item.struct_value) if kind == "struct_value" else getattr(item, kind)

    return {name: value(item) for name, item in bag.fields.items()}


def _answer(kind: str, stream: Stream) -> Any:
    answer = ext_proc_pb2.ProcessingResponse()
    if kind == "request_headers" and "x-test-deny" in stream.request_headers:
        answer.immediate_response.status.code = 403
        answer.immediate_response.body = b'{"denied": "by the sidecar"}'
        answer.immediate_response.details = "headgate_denied"
        return answer
    getattr(answer, kind).SetInParent()
    if kind == "response_headers":
        option = answer.response_headers.response.header_mutation.set_headers.add()
        option.header.key, option.header.raw_value = "x-headgate-exchange-id", EXCHANGE_ID.encode()
        option.append_action = 2  # overwrite or add
    return answer
