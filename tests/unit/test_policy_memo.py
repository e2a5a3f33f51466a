"""Decisions from memory: only while OPA says that it would say the same. Against real OPA, and one that lies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
import uvloop

from extproc import policy_tools
from extproc.errors import DependencyError
from extproc.model import Action
from extproc.opa import Policy
from extproc.opa.heartbeat import AGE_S_MAX
from extproc.telemetry import Metrics
from tests.policies.bundle_server import BundleServer, bundle_server
from tests.policies.opa_server import POLICIES, OpaServer, opa_server, short_folder

WITHIN_S = 15.0
MEMO = {"memo_bytes_max": 1 << 20, "memo_entries_max": 100}
RULE = """package headgate.main

decision := {
	"action": "allow", "status": 403, "reasons": [], "redact": [], "mask": [],
	"obligations": {"capture": "full", "retention_class": RETENTION},
}
"""
"""A decision that says which policy made it, in its retention class."""


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(asyncio.wait_for(work, 60))


async def until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + WITHIN_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {WITHIN_S:g} s: {what}"
        await asyncio.sleep(0.01)
    return found


@asynccontextmanager
async def policy(socket_path: Path, **settings: Any) -> AsyncIterator[tuple[Policy, Metrics]]:
    metrics = Metrics()
    asked = Policy(socket_path, metrics, **{"deadline_ms": 300, **MEMO, **settings})
    asked.start()
    try:
        yield asked, metrics
    finally:
        asked.close()


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"headgate_policy_{name}", labels) or 0.0


async def confirmed(asked: Policy) -> None:
    await until(asked.heartbeat.confirmed, "OPA confirms its policy")


def question(tag: str = "x", **request: Any) -> bytes:
    document = {"schema_version": 1, "phase": "request", "tag": tag, "request": {"method": "POST", **request}}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def bundle(folder: Path, retention: str = '"first"', revision: str | None = None) -> bytes:
    """A bundle whose decision carries this retention class (an expression of Rego)."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "main.rego").write_text(RULE.replace("RETENTION", retention))
    policy_tools.bundle(source, folder / "b.tar.gz", revision=revision)
    return (folder / "b.tar.gz").read_bytes()


@contextmanager
def served(content: bytes) -> Iterator[OpaServer]:
    """Real OPA with this bundle, loaded at its start."""
    with short_folder() as folder:
        (folder / "b.tar.gz").write_bytes(content)
        with opa_server("-b", str(folder / "b.tar.gz")) as running:
            yield running


@contextmanager
def polled(content: bytes, *, sends_etag: bool = True) -> Iterator[tuple[OpaServer, BundleServer]]:
    """Real OPA that polls a bundle over HTTP, every second."""
    with bundle_server() as bundles, short_folder() as folder:
        bundles.content, bundles.sends_etag = content, sends_etag
        (folder / "opa.json").write_text(
            json.dumps(
                {
                    "services": {"policy": {"url": bundles.url}},
                    "bundles": {
                        "headgate": {
                            "service": "policy", "resource": "b.tar.gz",
                            "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1},
                        }
                    },
                }
            )
        )  # fmt: skip
        with opa_server("--config-file", str(folder / "opa.json")) as running:
            yield running, bundles


# ── what is remembered ───────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_asked_once_is_known_and_equal_to_what_opa_says(tmp_path: Path) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, metrics):
            await confirmed(asked)
            assert asked.recall(question()) is None
            decided = await asked.decide(question())
            assert asked.recall(question()) == decided
            assert decided.obligations.retention_class == "first"
            assert (count(metrics, "memo_hits_total"), count(metrics, "memo_misses_total")) == (1, 1)
            assert 0 < count(metrics, "memo_bytes") <= 1 << 20
            assert 0 <= count(metrics, "heartbeat_age_seconds") < AGE_S_MAX

    with served(bundle(tmp_path)) as opa:
        run(work(opa))


def test_what_was_never_asked_is_not_known(tmp_path: Path) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, _):
            await confirmed(asked)
            await asked.decide(question("ab"))
            assert [asked.recall(question(tag)) for tag in ("aa", "abc", "Ab", "a")] == [None] * 4

    with served(bundle(tmp_path)) as opa:
        run(work(opa))


def test_facts_that_no_rule_reads_do_not_make_two_questions_of_one(tmp_path: Path) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, _):
            await confirmed(asked)
            await asked.decide(question(body_bytes=10, message_count=1))
            assert asked.recall(question(body_bytes=99, message_count=7)) is not None
            assert asked.recall(question(body_bytes=10, message_count=1, model="m")) is None

    with served(bundle(tmp_path)) as opa:
        run(work(opa))


def test_facts_that_a_rule_reads_do(tmp_path: Path) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, _):
            await confirmed(asked)
            assert (await asked.decide(question(body_bytes=10))).obligations.retention_class == "10"
            assert asked.recall(question(body_bytes=11)) is None
            assert (await asked.decide(question(body_bytes=11))).obligations.retention_class == "11"

    with served(bundle(tmp_path, 'sprintf("%d", [input.request.body_bytes])')) as opa:
        run(work(opa))


def test_the_repositorys_own_policy_decides_the_same_without_what_it_does_not_read(tmp_path: Path) -> None:
    policy_tools.bundle(POLICIES, tmp_path / "b.tar.gz")
    document = question(
        api="openai.chat", model="gpt-4o", body_bytes=812, message_count=3, max_output_tokens=5, path="/v1/x"
    )

    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, _), policy(opa.socket_path, memo_bytes_max=0) as (plain, _):
            await confirmed(asked)
            assert await asked.decide(document) == await plain.decide(document)
            assert asked.recall(document) == await plain.decide(document)

    with served((tmp_path / "b.tar.gz").read_bytes()) as opa:
        run(work(opa))


# ── what is not ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_memory_of_no_bytes_is_off_and_nothing_beats(tmp_path: Path) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path, memo_bytes_max=0) as (asked, metrics):
            await asked.decide(question())
            assert asked.recall(question()) is None
            assert asked.heartbeat.confirmed() is None
            assert count(metrics, "memo_misses_total") == 0

    with served(bundle(tmp_path)) as opa:
        run(work(opa))


@pytest.mark.parametrize(
    ("retention", "reason"),
    [('sprintf("%d", [time.now_ns()])', "impure_builtin"), ('rand.intn("x", 2) == 0', "impure_builtin")],
)
def test_a_policy_that_reads_time_or_chance_is_asked_every_time(tmp_path: Path, retention: str, reason: str) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, metrics):
            await confirmed(asked)
            for _ in range(2):
                assert asked.recall(question()) is None
                with suppress(DependencyError):
                    await asked.decide(question())
            assert count(metrics, "memo_bypasses_total", reason=reason) == 2

    with served(bundle(tmp_path, retention)) as opa:
        run(work(opa))


def test_a_policy_of_plain_files_is_asked_every_time(tmp_path: Path) -> None:
    bundle(tmp_path)

    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, metrics):
            await confirmed(asked)
            await asked.decide(question())
            assert asked.recall(question()) is None
            assert count(metrics, "memo_bypasses_total", reason="no_revision") == 1

    with opa_server(str(tmp_path / "source" / "main.rego")) as running:
        run(work(running))


@pytest.mark.parametrize(
    ("retention", "code"),
    [("input.absent", "opa_undefined"), ("5", "opa_nonsense"), ('sprintf("%d", [1 / 0])', "opa_undefined")],
)
def test_no_failure_is_remembered(tmp_path: Path, retention: str, code: str) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, metrics):
            await confirmed(asked)
            for _ in range(2):
                assert asked.recall(question()) is None
                with pytest.raises(DependencyError) as failed:
                    await asked.decide(question())
                assert failed.value.code == code
            assert count(metrics, "memo_misses_total") == 2

    with served(bundle(tmp_path, retention)) as opa:
        run(work(opa))


# ── when OPA goes ────────────────────────────────────────────────────────────────────────────────────────────────────


async def known(opa: OpaServer, asked: Policy) -> None:
    await confirmed(asked)
    await asked.decide(question())
    assert asked.recall(question()) is not None


def test_the_memory_of_a_killed_opa_ends_at_once_and_its_successor_starts_afresh(tmp_path: Path) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, metrics):
            await known(opa, asked)
            generation = asked.heartbeat.confirmed()
            opa.kill()
            gone_s = time.monotonic()
            await until(lambda: asked.recall(question()) is None, "it is forgotten")
            assert time.monotonic() - gone_s < 0.2  # the connection tells, no heartbeat is waited for
            assert count(metrics, "heartbeat_age_seconds") == float("inf")
            with pytest.raises(DependencyError, match="cannot connect"):
                await asked.decide(question())
            opa.start()
            await confirmed(asked)
            assert asked.heartbeat.confirmed() is not generation
            assert asked.recall(question()) is None  # the same policy, and yet: nobody knows what else the new one has
            await known(opa, asked)

    with served(bundle(tmp_path)) as opa:
        run(work(opa))


def test_the_memory_of_a_frozen_opa_lives_for_a_second_at_most(tmp_path: Path) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, _):
            await known(opa, asked)
            os.kill(opa.process.pid, signal.SIGSTOP)
            frozen_s = time.monotonic()
            try:
                await until(lambda: asked.recall(question()) is None, "it is forgotten")
                assert time.monotonic() - frozen_s <= AGE_S_MAX + 0.2
                with pytest.raises(DependencyError) as failed:
                    await asked.decide(question())
                assert failed.value.code == "opa_timeout"
            finally:
                os.kill(opa.process.pid, signal.SIGCONT)
            await known(opa, asked)

    with served(bundle(tmp_path)) as opa:
        run(work(opa))


def test_a_loop_that_was_held_does_not_live_on_an_old_confirmation(tmp_path: Path) -> None:
    """Nothing could be heard meanwhile, so nothing is certain."""

    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, _):
            await known(opa, asked)
            now_s = asked.heartbeat._clock()
            asked.heartbeat._clock = lambda: now_s + AGE_S_MAX + 0.3
            assert asked.recall(question()) is None
            asked.heartbeat._clock = time.monotonic
            await until(lambda: asked.recall(question()) is not None, "the next heartbeat confirms it again")

    with served(bundle(tmp_path)) as opa:
        run(work(opa))


def test_another_opa_on_the_same_socket_is_noticed_while_the_old_one_still_answers(tmp_path: Path) -> None:
    async def work(old: OpaServer, content: bytes) -> None:
        async with policy(old.socket_path) as (asked, _):
            await known(old, asked)
            with served(content) as new:
                new.socket_path.rename(old.socket_path)
                await until(lambda: asked.recall(question()) is None, "the old one's decisions are forgotten")
                await confirmed(asked)
                assert (await asked.decide(question())).obligations.retention_class == "second"
                assert old.process.poll() is None

    first, second = bundle(tmp_path, revision="same"), bundle(tmp_path, '"second"', revision="same")
    with served(first) as old:
        run(work(old, second))


# ── when policy changes ──────────────────────────────────────────────────────────────────────────────────────────────


def test_under_load_no_answer_of_an_old_policy_comes_more_than_a_second_after_a_new_one_decided(tmp_path: Path) -> None:
    first, second = bundle(tmp_path), bundle(tmp_path, '"second"')

    async def work(opa: OpaServer, bundles: BundleServer) -> None:
        seen: list[tuple[float, str, bool]] = []
        stop = asyncio.Event()

        async def client(asked: Policy, number: int) -> None:
            while not stop.is_set():
                tag = f"{number}"
                remembered = asked.recall(question(tag))
                decision = remembered or await asked.decide(question(tag))
                seen.append((time.monotonic(), decision.obligations.retention_class, remembered is not None))
                await asyncio.sleep(0.002)

        # One that always asks sees the change when it happens.
        async with policy(opa.socket_path, deadline_ms=10_000) as (asked, _), policy(
            opa.socket_path, deadline_ms=10_000, memo_bytes_max=0
        ) as (plain, _):  # fmt: skip
            await until(asked.heartbeat.confirmed, "OPA has its bundle")
            load = [asyncio.ensure_future(client(asked, number)) for number in range(4)]
            await until(lambda: sum(hit for _, _, hit in seen) > 50, "decisions come from memory")
            bundles.content = second
            async with asyncio.timeout(WITHIN_S):
                while (await plain.decide(question("witness"))).obligations.retention_class == "first":
                    pass
            changed_s = time.monotonic()
            await until(lambda: seen[-1][1:] == ("second", True), "decisions of the new one come from memory")
            await asyncio.sleep(0.5)
            stop.set()
            await asyncio.gather(*load)
        assert max(at for at, name, _ in seen if name == "first") < changed_s + AGE_S_MAX

    with polled(first) as (opa, bundles):
        run(work(opa, bundles))


def test_new_content_under_an_old_revision_is_noticed_by_its_etag(tmp_path: Path) -> None:
    first, second = bundle(tmp_path, revision="r"), bundle(tmp_path, '"second"', revision="r")

    async def work(opa: OpaServer, bundles: BundleServer) -> None:
        async with policy(opa.socket_path) as (asked, _):
            await confirmed(asked)
            await until(lambda: asked.heartbeat.confirmed().facts.revision == "r", "the bundle is live")
            await known(opa, asked)
            bundles.content = second
            await until(lambda: asked.recall(question()) is None, "the old decision is forgotten")
            await confirmed(asked)
            decided = await asked.decide(question())
            assert (decided.policy_revision, decided.obligations.retention_class) == ("r", "second")

    with polled(first) as (opa, bundles):
        run(work(opa, bundles))


def test_a_bundle_server_without_etags_gets_no_memory(tmp_path: Path) -> None:
    async def work(opa: OpaServer) -> None:
        async with policy(opa.socket_path) as (asked, _):

            def bypass() -> str | None:
                generation = asked.heartbeat.confirmed()
                return generation.facts.bypass if generation is not None else None

            await until(lambda: bypass() == "no_etag", "the bundle is live")
            await asked.decide(question())
            assert asked.recall(question()) is None

    with polled(bundle(tmp_path), sends_etag=False) as (opa, _):
        run(work(opa))


# ── an OPA that lies, or is slow in bad moments ──────────────────────────────────────────────────────────────────────


class FakeOpa:
    """Answers as it is told: the bundle's revision and ETag, decisions with any revision, at any time."""

    def __init__(self) -> None:
        self.revision, self.decided_by = "r-1", "r-1"
        self.etag = "1"
        self.tag = "first"
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[Any] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Path]:
        with short_folder() as folder:
            server = await asyncio.start_unix_server(self._serve, str(folder / "s"))
            try:
                yield folder / "s"
            finally:
                server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = b""
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        body = await reader.readexactly(int(line[15:]))
                answer = orjson.dumps(await self._answer(head.split()[1].decode(), body))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))
        writer.close()

    async def _answer(self, path: str, body: bytes) -> Any:
        if path == "/v1/data/system/bundles":
            manifest = {"revision": self.revision, "roots": [""]}
            return {"result": {"headgate": {"manifest": manifest, "etag": self.etag}}}
        if path == "/v1/policies":
            return {"result": []}
        if path == "/v1/config":
            return {"result": {}}
        revision, tag = self.decided_by, self.tag
        self.asked.append(orjson.loads(body)["input"])
        await self.gate.wait()
        result = {
            "action": "allow", "status": 403, "reasons": [], "redact": [], "mask": [],
            "obligations": {"capture": "full", "retention_class": tag},
        }  # fmt: skip
        return {"result": result, "provenance": {"bundles": {"headgate": {"revision": revision}}}}


def test_an_answer_that_was_under_way_when_policy_changed_is_used_once_and_not_kept() -> None:
    async def work() -> None:
        fake = FakeOpa()
        async with fake.listening() as path, policy(path, deadline_ms=10_000) as (asked, _):
            await confirmed(asked)
            before = asked.heartbeat.confirmed()
            fake.gate.clear()
            late = asyncio.ensure_future(asked.decide(question()))
            await until(lambda: fake.asked, "the question is there")
            fake.etag, fake.tag = "2", "second"  # the same revision, other content
            await until(lambda: asked.heartbeat.confirmed() not in (None, before), "the new policy is noticed")
            fake.gate.set()
            assert (await late).obligations.retention_class == "first"
            assert asked.recall(question()) is None
            assert (await asked.decide(question())).obligations.retention_class == "second"
            assert asked.recall(question()) is not None

    run(work())


def test_an_answer_by_another_revision_than_the_confirmed_one_is_not_kept_and_sees_the_whole_input() -> None:
    async def work() -> None:
        fake = FakeOpa()
        fake.decided_by = "r-2"
        async with fake.listening() as path, policy(path) as (asked, _):
            await confirmed(asked)
            decided = await asked.decide(question(body_bytes=7))
            assert decided.policy_revision == "r-2"
            assert [document["request"].get("body_bytes") for document in fake.asked] == [None, 7]
            assert asked.recall(question(body_bytes=7)) is None

    run(work())


def test_a_heartbeat_that_answers_slowly_holds_up_no_question() -> None:
    async def work() -> None:
        fake = FakeOpa()
        quick = fake._answer

        async def slow(path: str, body: bytes) -> Any:
            if path == "/v1/data/system/bundles":
                await asyncio.Event().wait()
            return await quick(path, body)

        fake._answer = slow  # type: ignore[method-assign]
        async with fake.listening() as path, policy(path) as (asked, metrics):
            began = time.monotonic()
            assert (await asked.decide(question())).action is Action.ALLOW
            assert time.monotonic() - began < 0.25
            assert asked.recall(question()) is None
            assert count(metrics, "memo_bypasses_total", reason="unconfirmed") == 1

    run(work())
