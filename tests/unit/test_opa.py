"""The OPA client against real OPA, and against a small server that answers as badly as it is told to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from extproc import policy_tools
from extproc.errors import DependencyError
from extproc.model import Action
from extproc.opa import OpaClient
from tests.policies.opa_server import POLICIES, OpaServer, opa_server, short_folder

DEADLINE_MS = 300
PATIENT_MS = 10_000
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine under each of the two event loops."""

    def runner(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as loop:
            loop.run(asyncio.wait_for(work, 60))

    return runner


def stop(pid: int) -> None:
    """Stopped when this returns: the signal takes its time."""
    os.kill(pid, signal.SIGSTOP)
    until_s = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < until_s
        os.sched_yield()


async def code_of(answer: Awaitable[object]) -> str:
    with pytest.raises(DependencyError) as refused:
        await answer
    return refused.value.code


# ── a server that does as it is told ─────────────────────────────────────────────────────────────────────────────────


def decision(tag: str) -> bytes:
    """A decision that can be told from others by its retention class."""
    return json.dumps(
        {
            "result": {
                "action": "allow", "status": 403, "reasons": [], "redact": [], "mask": [],
                "obligations": {"capture": "full", "retention_class": tag},
            }
        }
    ).encode()  # fmt: skip


def response(body: bytes, *, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


class Connection:
    """One client connection, as the server's behaviour sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number

    async def question(self) -> Any:
        """The next question's input document; raises when the client went away."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST /v1/data/headgate/main/decision?provenance=true HTTP/1.1\r\n")
        (size,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return json.loads(await self.reader.readexactly(int(size.partition(b":")[2])))["input"]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@asynccontextmanager
async def server(behave: Callable[[Connection], Awaitable[None]]) -> AsyncIterator[tuple[Path, list[Connection]]]:
    connections: list[Connection] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, len(connections) + 1)
        connections.append(connection)
        try:
            await behave(connection)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    with short_folder() as folder:
        path = folder / "s"
        listening = await asyncio.start_unix_server(accept, str(path))
        try:
            yield path, connections
        finally:
            listening.close()


async def echo(connection: Connection) -> None:
    """Answers every question with its own tag."""
    while True:
        await connection.send(response(decision((await connection.question())["tag"])))


def question(tag: str) -> bytes:
    return json.dumps({"tag": tag}).encode()


def test_a_connection_is_kept_and_used_again(run: Any) -> None:
    async def work() -> None:
        async with server(echo) as (path, connections), OpaClient(path, deadline_ms=PATIENT_MS) as opa:
            for tag in ("a", "b", "c"):
                assert (await opa.decide(question(tag))).obligations.retention_class == tag
            assert len(connections) == 1

    run(work())


def test_questions_at_once_share_a_bounded_number_of_connections_and_get_their_own_answers(run: Any) -> None:
    async def work() -> None:
        async with server(echo) as (path, connections):
            async with OpaClient(path, deadline_ms=PATIENT_MS, connections_max=3) as opa:
                answers = await asyncio.gather(*(opa.decide(question(str(n))) for n in range(60)))
            assert [answer.obligations.retention_class for answer in answers] == [str(n) for n in range(60)]
            assert 1 <= len(connections) <= 3

    run(work())


def test_a_late_answer_is_never_given_to_the_next_question(run: Any) -> None:
    async def work() -> None:
        timed_out, sent = asyncio.Event(), asyncio.Event()

        async def behave(connection: Connection) -> None:
            if connection.number > 1:
                return await echo(connection)
            await connection.question()
            await timed_out.wait()
            connection.writer.write(response(decision("late")))
            sent.set()
            return None

        async with server(behave) as (path, connections), OpaClient(path, deadline_ms=50) as opa:
            assert await code_of(opa.decide(question("first"))) == "opa_timeout"
            timed_out.set()
            await sent.wait()
            opa._deadline_ms = PATIENT_MS
            assert (await opa.decide(question("second"))).obligations.retention_class == "second"
            assert len(connections) == 2

    run(work())


def test_the_deadline_covers_a_server_that_only_accepts(run: Any) -> None:
    async def work() -> None:
        async def silent(connection: Connection) -> None:
            await connection.reader.read()

        async with server(silent) as (path, _), OpaClient(path, deadline_ms=50, connections_max=1) as opa:
            began = time.monotonic()
            # The second one waits for the first one's connection, and its deadline runs meanwhile.
            codes = await asyncio.gather(code_of(opa.decide(b"{}")), code_of(opa.decide(b"{}")))
            assert codes == ["opa_timeout", "opa_timeout"]
            assert 0.04 < time.monotonic() - began < 5

    run(work())


def test_the_deadline_covers_an_answer_that_trickles(run: Any) -> None:
    async def work() -> None:
        async def trickle(connection: Connection) -> None:
            await connection.question()
            for byte in response(decision("x")):
                await connection.send(bytes((byte,)))
                await asyncio.sleep(0.02)  # slower than the deadline in all, never silent for long

        async with server(trickle) as (path, _), OpaClient(path, deadline_ms=150) as opa:
            assert await code_of(opa.decide(b"{}")) == "opa_timeout"

    run(work())


def test_an_idle_connection_that_the_server_closed_is_replaced(run: Any) -> None:
    async def work() -> None:
        async def once(connection: Connection) -> None:
            await connection.send(response(decision((await connection.question())["tag"])))

        async with server(once) as (path, connections), OpaClient(path, deadline_ms=PATIENT_MS) as opa:
            for tag in ("a", "b", "c"):
                assert (await opa.decide(question(tag))).obligations.retention_class == tag
            assert len(connections) == 3

    run(work())


def test_a_kept_connection_that_dies_under_the_question_is_tried_once_more(run: Any) -> None:
    async def work() -> None:
        asked: list[str] = []

        async def behave(connection: Connection) -> None:
            tag = (await connection.question())["tag"]
            asked.append(tag)
            await connection.send(response(decision(tag)))
            asked.append((await connection.question())["tag"])  # and closes without an answer

        async with server(behave) as (path, _), OpaClient(path, deadline_ms=PATIENT_MS) as opa:
            await opa.decide(question("a"))
            assert (await opa.decide(question("b"))).obligations.retention_class == "b"
            assert asked == ["a", "b", "b"]

    run(work())


def test_a_fresh_connection_that_dies_is_not_tried_for_ever(run: Any) -> None:
    async def work() -> None:
        async def close(connection: Connection) -> None:
            await connection.question()

        async with server(close) as (path, connections), OpaClient(path, deadline_ms=PATIENT_MS) as opa:
            assert await code_of(opa.decide(b"{}")) == "opa_unreachable"
            assert len(connections) == 1

    run(work())


BODY = decision("x")
NONSENSE = {
    "not http": b"220 mail.example.com ESMTP\r\n\r\n",
    "not json": response(b"<html>"),
    "not a decision": response(b'{"result":{"action":"permit"}}'),
    "cut json": response(BODY[:-1]),
    "server error": b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "redirect": b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "no length": b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
    "too large": response(b" " * 4097 + BODY),
}


@pytest.mark.parametrize("name", sorted(NONSENSE))
def test_nonsense_is_a_typed_error_and_the_next_question_is_asked_afresh(name: str, run: Any) -> None:
    async def work() -> None:
        async def behave(connection: Connection) -> None:
            if connection.number > 1:
                return await echo(connection)
            await connection.question()
            await connection.send(NONSENSE[name])
            await echo(connection)
            return None

        async with (
            server(behave) as (path, _),
            OpaClient(path, deadline_ms=PATIENT_MS, response_bytes_max=4096) as opa,
        ):
            assert await code_of(opa.decide(question("a"))) == "opa_nonsense"
            assert (await opa.decide(question("b"))).obligations.retention_class == "b"

    run(work())


def test_an_answer_followed_by_more_is_used_and_its_connection_is_not(run: Any) -> None:
    async def work() -> None:
        async def behave(connection: Connection) -> None:
            if connection.number > 1:
                return await echo(connection)
            tag = (await connection.question())["tag"]
            await connection.send(response(decision(tag)) + response(decision("smuggled")))
            await echo(connection)
            return None

        async with server(behave) as (path, connections), OpaClient(path, deadline_ms=PATIENT_MS) as opa:
            assert (await opa.decide(question("a"))).obligations.retention_class == "a"
            assert (await opa.decide(question("b"))).obligations.retention_class == "b"
            assert len(connections) == 2

    run(work())


def test_an_answer_cut_in_the_middle_is_unreachable_and_not_asked_again(run: Any) -> None:
    async def work() -> None:
        async def behave(connection: Connection) -> None:
            await connection.question()
            await connection.send(response(BODY)[:-5])

        async with server(behave) as (path, connections), OpaClient(path, deadline_ms=PATIENT_MS) as opa:
            assert await code_of(opa.decide(b"{}")) == "opa_unreachable"
            assert len(connections) == 1

    run(work())


def test_a_cancelled_question_leaves_no_connection_behind(run: Any) -> None:
    async def work() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def behave(connection: Connection) -> None:
            if connection.number > 1:
                return await echo(connection)
            await connection.question()
            asked.set()
            await connection.reader.read()
            gone.set()
            return None

        async with server(behave) as (path, _), OpaClient(path, deadline_ms=PATIENT_MS, connections_max=1) as opa:
            task = asyncio.ensure_future(opa.decide(b"{}"))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await gone.wait()
            assert (await opa.decide(question("b"))).obligations.retention_class == "b"

    run(work())


def test_without_a_socket_opa_is_unreachable_and_the_message_says_where(run: Any, tmp_path: Path) -> None:
    async def work() -> None:
        async with OpaClient(tmp_path / "none.sock", deadline_ms=PATIENT_MS) as opa:
            with pytest.raises(DependencyError, match=r"none\.sock: No such file") as refused:
                await opa.decide(b"{}")
            assert refused.value.code == "opa_unreachable"

    run(work())


def test_an_input_that_is_too_large_is_not_sent(run: Any, tmp_path: Path) -> None:
    async def work() -> None:
        async with OpaClient(tmp_path / "none.sock", input_bytes_max=10) as opa:
            assert await code_of(opa.decide(b'{"aaaaaa":1}')) == "opa_input_too_large"

    run(work())


# ── real OPA ─────────────────────────────────────────────────────────────────────────────────────────────────────────

DENIED = b'{"schema_version":1,"phase":"request"}'


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "bundle.tar.gz"
    policy_tools.bundle(POLICIES, path, revision="r-1")
    return path


@pytest.fixture
def opa(bundle: Path) -> Iterator[OpaServer]:
    with opa_server("-b", str(bundle)) as running:
        yield running


def test_real_opa_decides_and_names_its_revision(run: Any, opa: OpaServer) -> None:
    async def work() -> None:
        async with OpaClient(opa.socket_path, deadline_ms=PATIENT_MS) as client:
            for _ in range(3):
                decided = await client.decide(DENIED)
                assert decided.action is Action.DENY
                assert decided.policy_revision == "r-1"
            answers = await asyncio.gather(*(client.decide(DENIED) for _ in range(40)))
            assert {answer.action for answer in answers} == {Action.DENY}

    run(work())


def test_an_answer_that_real_opa_sends_in_chunks_is_read(run: Any, tmp_path: Path) -> None:
    """Go's server stops counting the length at 2 KB and chunks."""
    (tmp_path / "main.rego").write_text(
        'package headgate.main\n\ndecision := {"action": "deny", "status": 403, "redact": [], "mask": [],\n'
        ' "obligations": {"capture": "full", "retention_class": "default"},\n'
        ' "reasons": [{"rule": sprintf("a.%d", [n]), "message": concat("", [m | some _ in numbers.range(1, 300); '
        'm := "x"]), "action": "deny", "enforced": true} | some n in numbers.range(1, 30)]}\n'
    )

    async def work(path: Path) -> None:
        async with OpaClient(path, deadline_ms=PATIENT_MS) as client:
            for _ in range(2):
                assert len((await client.decide(b"{}")).reasons) == 30

    with opa_server(str(tmp_path)) as running:
        run(work(running.socket_path))


def test_a_stopped_opa_is_a_time_out_within_the_deadline_and_comes_back(run: Any, opa: OpaServer) -> None:
    async def work() -> None:
        async with OpaClient(opa.socket_path, deadline_ms=PATIENT_MS) as client:
            await client.decide(DENIED)
            client._deadline_ms = DEADLINE_MS
            stop(opa.process.pid)
            try:
                for _ in range(2):  # with a kept connection, and with a new one
                    began = time.monotonic()
                    assert await code_of(client.decide(DENIED)) == "opa_timeout"
                    assert DEADLINE_MS / 1000 * 0.9 < time.monotonic() - began < 5
            finally:
                os.kill(opa.process.pid, signal.SIGCONT)
            client._deadline_ms = PATIENT_MS
            assert (await client.decide(DENIED)).action is Action.DENY

    run(work())


def test_a_killed_opa_is_unreachable_and_a_restarted_one_is_found_again(run: Any, opa: OpaServer) -> None:
    async def work() -> None:
        async with OpaClient(opa.socket_path, deadline_ms=PATIENT_MS) as client:
            await asyncio.gather(*(client.decide(DENIED) for _ in range(4)))
            opa.kill()
            assert await code_of(client.decide(DENIED)) == "opa_unreachable"
            opa.start()
            for _ in range(5):  # every kept connection is dead
                assert (await client.decide(DENIED)).action is Action.DENY

    run(work())


def test_an_empty_policy_is_undefined_not_allowed(run: Any, tmp_path: Path) -> None:
    (tmp_path / "other.rego").write_text("package other\n\nx := 1\n")

    async def work(path: Path) -> None:
        async with OpaClient(path, deadline_ms=PATIENT_MS) as client:
            assert await code_of(client.decide(DENIED)) == "opa_undefined"

    with opa_server(str(tmp_path)) as running:
        run(work(running.socket_path))


def test_a_conflict_inside_the_policy_is_nonsense_not_allowed(run: Any, tmp_path: Path) -> None:
    (tmp_path / "main.rego").write_text("package headgate.main\n\ndecision := input.a\n\ndecision := input.b\n")

    async def work(path: Path) -> None:
        async with OpaClient(path, deadline_ms=PATIENT_MS) as client:
            assert await code_of(client.decide(b'{"a":1,"b":2}')) == "opa_nonsense"

    with opa_server(str(tmp_path)) as running:
        run(work(running.socket_path))


def test_what_is_no_json_never_becomes_a_decision(run: Any, opa: OpaServer) -> None:
    async def work() -> None:
        async with OpaClient(opa.socket_path, deadline_ms=PATIENT_MS) as client:
            assert await code_of(client.decide(b"{")) == "opa_nonsense"
            assert (await client.decide(DENIED)).action is Action.DENY

    run(work())
