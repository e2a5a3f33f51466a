"""Inspection off the event loop: large bodies are decoded, scanned and rewritten in worker processes.

Threads would not do: JSON parsers hold the GIL, so a 64 MiB body in a thread holds the loop all the same (invariant 9).
A job that outlives its CPU budget gives a typed answer; a worker that dies fails its jobs and is replaced.

Callers take turns: who sends the dearest bodies by the dozen waits for himself, everybody else for one job of his.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import multiprocessing
import signal
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from extproc.codec import ResponseDecoder
from extproc.codecs import CODECS
from extproc.custom_patterns import CustomPattern, all_detectors
from extproc.errors import HeadgateError, LimitExceeded
from extproc.events import Inspect, Inspected, Rewrite, RewriteFailed, Rewritten
from extproc.inspection import inspect_request, rewrite_request
from extproc.model import Call, Finding, Inspection, Limits, Problem, ResponseFacts
from extproc.scanner import Scanner

_T = TypeVar("_T")
_RESPONSES = ""
"""The caller for whom answers are read: nobody waits for that."""


def cpu_budget(inspect_ms_max: int) -> Callable[[], None]:
    """A check that raises `LimitExceeded` once this thread has used its CPU allowance, counted from now."""
    end = time.thread_time() + inspect_ms_max / 1_000

    def check() -> None:
        if time.thread_time() > end:
            raise LimitExceeded("inspect_budget", "the request needs more inspection than this gateway allows")

    return check


class _Process:
    """What this process looks for: set once, when it starts."""

    custom: tuple[CustomPattern, ...] = ()
    scanner: Scanner | None = None


def use_patterns(custom: tuple[CustomPattern, ...]) -> None:
    """From now on this process looks for `custom` as well."""
    _Process.custom, _Process.scanner = custom, None


def scanner() -> Scanner:
    """This process's compiled detectors."""
    if _Process.scanner is None:
        _Process.scanner = Scanner(all_detectors(_Process.custom))
    return _Process.scanner


def inspect_body(api: str, call: Call, body: bytes, limits: Limits) -> tuple[Inspection, bytes]:
    """(Inspection, SHA-256 of the body as it came). Runs anywhere."""
    inspection = inspect_request(
        CODECS[api],
        call,
        body,
        scanner=scanner(),
        limits=limits,
        budget=cpu_budget(limits.inspect_ms_max),
    )
    return inspection, hashlib.sha256(body).digest()


def rewrite_body(
    body: bytes,
    findings: tuple[Finding, ...],
    entity_sets: tuple[frozenset[str], ...],
    asking: str | None = None,
    forwarded: frozenset[str] = frozenset(),
    key: bytes | None = None,
) -> tuple[tuple[bytes, ...], bytes | None]:
    """The body once for each set of entities, with the findings of those entities replaced; and the one to forward,
    asking for usage, when `asking` names the api to ask."""
    bodies = tuple(rewrite_request(body, findings, entities, key) for entities in entity_sets)
    if asking is None:
        return bodies, None
    sent = dict(zip(entity_sets, bodies, strict=True)).get(forwarded, body)
    return bodies, CODECS[asking].asking_for_usage(sent)


def finish_decoder(decoder: ResponseDecoder, complete: bool) -> ResponseFacts:
    return decoder.finish(complete=complete)


def _worker_started(custom: tuple[CustomPattern, ...]) -> None:
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent ends the pool
    use_patterns(custom)
    scanner()


def _rewriting(effect: Rewrite) -> tuple[Any, ...]:
    """The arguments of `rewrite_body`."""
    return effect.body, effect.findings, effect.entity_sets, effect.asking, effect.forwarded, effect.key


def uninspected(code: str) -> Inspected:
    """The answer when inspection itself failed: refused where it binds, and no text is kept, since nobody looked."""
    problem = Problem(code, "the request could not be inspected", 503)
    return Inspected(Inspection(problem=problem, hides_findings=True))


def _die_with_parent() -> None:
    """prctl(PR_SET_PDEATHSIG, SIGKILL): a worker never outlives the process that feeds it. Linux only, like us."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Turns:
    """Who may use one of `places` next: each caller in turn, whatever one has waiting."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, caller: str) -> None:
        """Returns when it is the caller's turn; `give` must follow."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(caller)  # it was ours already
            raise

    def give(self, caller: str) -> None:
        """The caller's place is free again: the next one's."""
        if caller in self._waiting:
            self._waiting.move_to_end(caller)  # behind those who came while its job ran
        while self._waiting:
            following, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[following] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Workers:
    """Runs the pure jobs: small ones in place, large ones in a pool of processes."""

    def __init__(
        self, limits: Limits, *, processes: int, inline_bytes_max: int, custom: tuple[CustomPattern, ...] = ()
    ) -> None:
        """`custom`: patterns that this deployment adds, checked."""
        self._limits = limits
        self._processes = processes
        self._inline_bytes_max = inline_bytes_max
        self._pool: ProcessPoolExecutor | None = None
        self._turns = Turns(processes)
        self._custom = custom
        use_patterns(custom)  # small bodies are inspected here

    def start(self) -> None:
        """Start the pool before the first large body needs it."""
        self._pool = ProcessPoolExecutor(
            self._processes,
            mp_context=multiprocessing.get_context("forkserver"),
            initializer=_worker_started,
            initargs=(self._custom,),
        )
        self._pool.submit(scanner)

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def small(self, size_bytes: int) -> bool:
        return size_bytes <= self._inline_bytes_max

    def inspect_now(self, effect: Inspect) -> Inspected:
        inspection, digest = inspect_body(effect.codec.api, effect.call, effect.body, self._limits)
        return Inspected(inspection, digest)

    async def inspect(self, effect: Inspect) -> Inspected:
        try:
            inspection, digest = await self._run(
                effect.caller,
                inspect_body,
                effect.codec.api,
                effect.call,
                effect.body,
                self._limits,
            )
        except (HeadgateError, BrokenProcessPool) as error:
            return uninspected(error.code if isinstance(error, HeadgateError) else "inspection_failed")
        return Inspected(inspection, digest)

    def rewrite_now(self, effect: Rewrite) -> Rewritten | RewriteFailed:
        try:
            return Rewritten(*rewrite_body(*_rewriting(effect)))
        except HeadgateError as error:
            return RewriteFailed(error.code)

    async def rewrite(self, effect: Rewrite) -> Rewritten | RewriteFailed:
        try:
            return Rewritten(*await self._run(effect.caller, rewrite_body, *_rewriting(effect)))
        except HeadgateError as error:
            return RewriteFailed(error.code)
        except BrokenProcessPool:
            return RewriteFailed("inspection_failed")

    async def conclude(self, decoder: ResponseDecoder, *, complete: bool) -> ResponseFacts:
        try:
            return await self._run(_RESPONSES, finish_decoder, decoder, complete)
        except BrokenProcessPool:
            return ResponseFacts(warnings=("inspection_failed",))

    async def _run(self, caller: str, job: Callable[..., _T], *arguments: Any) -> _T:
        await self._turns.take(caller)
        try:
            return await self._run_now(job, *arguments)
        finally:
            self._turns.give(caller)

    async def _run_now(self, job: Callable[..., _T], *arguments: Any) -> _T:
        assert self._pool is not None, "start() comes first"
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, job, *arguments)
        except BrokenProcessPool:
            if self._pool is pool:  # the first to notice replaces it
                pool.shutdown(wait=False, cancel_futures=True)
                self.start()
            raise
