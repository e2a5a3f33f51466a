"""Writes frames to the spool for the event loop: in place when that is quick, on one thread when it is not.

Order is kept: while anything waits for the thread, everything goes through it. `seq` is given to an Opened frame at the
moment it is written, so that it has no gaps, whatever failed before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import msgspec

from capture.errors import SpoolFull
from capture.record import AnyFrame, Opened, Request, ResponsePart, encode
from extproc.events import Append, Appended, AppendFailed
from extproc.telemetry import Metrics

_INLINE_BYTES_MAX = 128 * 1024

Answer = Appended | AppendFailed


class Spool(Protocol):
    """What the recorder needs of `capture.spool.writer.SpoolWriter`."""

    @property
    def busy(self) -> bool: ...
    def append(self, payload: bytes) -> int: ...
    def wait_durable(self, offset: int) -> Future[None]: ...
    def count_lost(self, n: int = 1) -> None: ...


class Recorder:
    def __init__(self, spool: Spool, metrics: Metrics) -> None:
        self._spool = spool
        self._metrics = metrics
        self._seq = 0
        self._queued = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")

    def append(self, effect: Append, answer: Callable[[Answer], None]) -> Answer | None:
        """Write one frame. The answer comes back at once, or (None) through `answer`, on the loop, later."""
        if (
            not effect.durable
            and not self._queued
            and not self._spool.busy
            and _size(effect.frame) <= _INLINE_BYTES_MAX
        ):
            written, _ = self._write(effect.frame)
            return written
        self._queued += 1
        task = asyncio.ensure_future(self._append_later(effect, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return None

    def lost(self) -> None:
        """An exchange for which there will be no row: counted where a restart does not forget it."""
        self._metrics.lost.inc()
        self._spool.count_lost()

    def stop(self) -> None:
        self._thread.shutdown(wait=True)

    async def _append_later(self, effect: Append, answer: Callable[[Answer], None]) -> None:
        answer(await self._append_on_thread(effect))

    async def _append_on_thread(self, effect: Append) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            written, offset = await loop.run_in_executor(self._thread, self._write, effect.frame)
        finally:
            self._queued -= 1
        if effect.durable and isinstance(written, Appended):
            try:
                await asyncio.wrap_future(self._spool.wait_durable(offset))
            except OSError:
                self._metrics.frame_failures.labels(_kind(effect.frame)).inc()
                return AppendFailed(type(effect.frame))
        return written

    def _write(self, frame: AnyFrame) -> tuple[Answer, int]:
        if isinstance(frame, Opened):
            frame = msgspec.structs.replace(frame, seq=self._seq + 1)
        try:
            offset = self._spool.append(encode(frame))
        except (SpoolFull, OSError):
            self._metrics.frame_failures.labels(_kind(frame)).inc()
            return AppendFailed(type(frame)), 0
        if isinstance(frame, Opened):
            self._seq += 1
        self._metrics.frames.labels(_kind(frame)).inc()
        return Appended(type(frame)), offset


def _kind(frame: AnyFrame) -> str:
    return type(frame).__name__.lower()


def _size(frame: AnyFrame) -> int:
    if isinstance(frame, Request):
        return len(frame.body or b"")
    return len(frame.data) if isinstance(frame, ResponsePart) else 0
