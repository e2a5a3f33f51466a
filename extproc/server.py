"""`headgate serve`: puts the parts together, runs the event loop, drains on SIGTERM.

The order of the end: no new streams; open exchanges get `limits.drain_ms_max`; what is still open then is closed as
`shutdown`; the spool is synced and its lock let go; only then does the process exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import time
import uuid
from pathlib import Path

import structlog
import uvloop

from capture.errors import SpoolUnusable
from capture.spool.writer import SpoolWriter
from extproc import wire
from extproc.codecs import codec_for
from extproc.config import Configuration
from extproc.custom_patterns import load_patterns
from extproc.errors import OperatorError
from extproc.memory import MemoryBudget
from extproc.model import Principal, PrincipalSource
from extproc.opa import Policy
from extproc.opening import Surroundings
from extproc.placeholders import PlaceholderKeys
from extproc.pricing import preload, price
from extproc.principal import Directory
from extproc.recorder import Recorder
from extproc.servicer import Servicer
from extproc.teams import Teams, load_teams
from extproc.telemetry import Metrics, configure_logs, serve_metrics
from extproc.transport.grpc_aio import GrpcAioTransport
from extproc.workers import Workers, scanner

_log = structlog.get_logger()
_MESSAGE_OVERHEAD_BYTES = 2 * 1024 * 1024
"""A message above `body_bytes_max` by this much still comes through, so that we, not gRPC, say what is too large: Envoy
holds up to 1 MiB more (its buffer limit, `envoy_config.listener`), reads 16 KiB past that, and adds headers."""


def uuid7() -> str:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, 74 random bits."""
    random = secrets.randbits(74)
    value = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def main(configuration: Configuration) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code; raises `OperatorError` when it cannot start."""
    configure_logs(configuration.telemetry.log_level)
    code: int = uvloop.run(_serve(configuration))
    return code


async def _serve(configuration: Configuration) -> int:
    patterns_file = configuration.detectors.patterns_file
    custom = load_patterns(patterns_file) if patterns_file is not None else ()
    metrics = Metrics()
    incarnation = uuid7()
    spool = _open_spool(configuration, incarnation)
    recorder = Recorder(spool, metrics)
    limits = configuration.exchange_limits()
    workers = Workers(
        limits,
        processes=configuration.limits.workers,
        inline_bytes_max=configuration.limits.inline_bytes_max,
        custom=custom,
    )
    workers.start()
    policy = _policy(configuration, metrics)
    servicer = Servicer(
        surroundings=_surroundings(configuration, incarnation),
        policy=policy,
        recorder=recorder,
        workers=workers,
        metrics=metrics,
        new_id=uuid7,
        open_exchanges_max=configuration.limits.open_exchanges_max,
    )
    transport = GrpcAioTransport()
    try:
        _clear_socket(configuration.extproc_socket)
        if configuration.telemetry.metrics_address is not None:
            _serve_metrics(metrics, configuration.telemetry.metrics_address)
        _warm_up()
        policy.start()
        await transport.start(  # last: who can connect to the socket finds everything ready
            configuration.extproc_socket,
            {wire.PROCESS_METHOD: servicer.open_process, wire.ACCESS_LOG_METHOD: servicer.open_access_log},
            message_bytes_max=limits.body_bytes_max + _MESSAGE_OVERHEAD_BYTES,
        )
        gc.freeze()  # what is loaded now stays: the collector need not look at it again
        _log.info("serving", incarnation=incarnation, routes=len(configuration.routes))
        await _until_told_to_stop(servicer, limits.part_ms_max / 2_000)
        await _drain(servicer, transport, configuration.limits.drain_ms_max / 1_000)
    finally:
        recorder.stop()
        spool.close()
        workers.stop()
        policy.close()
        with contextlib.suppress(OSError):  # it may never have been made
            configuration.extproc_socket.unlink()
    _log.info("stopped", incarnation=incarnation)
    return 0


async def _until_told_to_stop(servicer: Servicer, tick_s: float) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    ticking = asyncio.ensure_future(servicer.tick(tick_s))
    try:
        await told.wait()
    finally:
        ticking.cancel()


async def _drain(servicer: Servicer, transport: GrpcAioTransport, within_s: float) -> None:
    _log.info("draining", open=len(servicer.sessions))
    ticking = asyncio.ensure_future(servicer.tick(0.1))
    stopping = asyncio.ensure_future(transport.stop(within_s))
    if not await servicer.settle(within_s):
        servicer.shut_down()
        if not await servicer.settle(2.0):
            _log.warning("unfinished_exchanges", open=len(servicer.sessions))
    await stopping
    await servicer.settle(2.0)  # streams that the transport cut just now
    ticking.cancel()


def _warm_up() -> None:
    """What is loaded or compiled at first use is loaded now: the first exchange shall not wait for it."""
    preload()
    scanner().scan(b"warm")


def _policy(configuration: Configuration, metrics: Metrics) -> Policy:
    settings = configuration.policy
    return Policy(
        configuration.opa_socket,
        metrics,
        deadline_ms=settings.deadline_ms,
        memo_bytes_max=0 if settings.decision_log else settings.memo_bytes_max,
        memo_entries_max=settings.memo_entries_max,
    )


def _surroundings(configuration: Configuration, incarnation: str) -> Surroundings:
    key, redaction = configuration.fingerprint_key, configuration.redaction
    secret = redaction.key.read().encode() if redaction.key is not None else None
    return Surroundings(
        replica_id=configuration.replica_id,
        incarnation=incarnation,
        routes=configuration.route_table(),
        directory=directory(load_teams(configuration.teams), key.read() if key is not None else None),
        limits=configuration.exchange_limits(),
        memory=MemoryBudget(configuration.limits.inflight_bytes_max),
        codec_for=codec_for,
        price=price,
        placeholder_keys=PlaceholderKeys(secret, redaction.period_days),
    )


def directory(teams: Teams, fingerprint_key: str | None) -> Directory:
    """The request path's view of the teams file."""
    table: dict[tuple[PrincipalSource, str], Principal] = {}
    for team, project, caller in teams.callers():
        if caller.api_key is not None:
            source, proof = PrincipalSource.API_KEY, caller.id
        elif caller.jwt_subject is not None:
            source, proof = PrincipalSource.JWT, caller.jwt_subject
        elif caller.certificate is not None:
            source, proof = PrincipalSource.CERTIFICATE, caller.certificate
        else:
            assert caller.provider_key is not None
            source, proof = PrincipalSource.PROVIDER_KEY, caller.provider_key
        table[source, proof] = Principal(
            source=source,
            caller=caller.id,
            team=team.name,
            project=project.name,
            cost_center=project.cost_center or team.cost_center,
            environment=project.environment,
            user_id=caller.user,
            workload=caller.workload,
            fingerprint=proof if source is PrincipalSource.PROVIDER_KEY else None,
        )
    return Directory(table, fingerprint_key)


def _open_spool(configuration: Configuration, incarnation: str) -> SpoolWriter:
    settings = configuration.capture
    try:
        return SpoolWriter(
            settings.spool_dir,
            replica_id=configuration.replica_id,
            incarnation=incarnation,
            segment_bytes_max=settings.segment_bytes_max,
            spool_bytes_max=settings.spool_bytes_max,
            sync_ms_max=settings.sync_ms_max,
        )
    except SpoolUnusable as error:
        raise OperatorError(error.code, f"capture.spool_dir: {error.message}") from None


def _clear_socket(socket: Path) -> None:
    """A socket that a killed predecessor left behind is in the way of ours."""
    try:
        socket.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"run_dir: cannot make {socket.parent}: {os.strerror(error.errno or 0)}"
        raise OperatorError("folder_unusable", message) from None
    with contextlib.suppress(FileNotFoundError):
        socket.unlink()


def _serve_metrics(metrics: Metrics, address: str) -> None:
    try:
        serve_metrics(metrics, address)
    except OSError as error:
        message = f"telemetry.metrics_address: cannot listen on {address}: {os.strerror(error.errno or 0)}"
        raise OperatorError("metrics_address", message) from None
