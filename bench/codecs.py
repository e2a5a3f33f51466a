"""What reading costs: the data path's decode of each api beside a bare `orjson` decode of the same bytes.

    python -m bench.codecs

The decode is what an exchange waits for or pays for: one strict reading of the request (duplicate keys refused) and the
api's facts of it, then the response's usage and facts. No detectors, no text for the archive. Times are CPU,
because nothing here waits and other work on the machine must not count; medians of interleaved rounds. The floor is
`orjson.loads` of the same bytes in the same rounds.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.codec_bodies import APIS, CHAT, Api, agent_talk, small_talk
from extproc.codec import Codec
from extproc.codecs import codec_for
from extproc.framing import strict_json
from extproc.model import Call, RequestFacts

JSON_DEPTH_MAX = 128
GROWTH_MIB = (1, 4, 16, 64)
MEMORY_MIB = (16, 64)
AGENT_BYTES = 1_000_000
STREAM_CHUNKS = 400
ROUNDS = 31


@dataclass(frozen=True)
class Measured:
    """Microseconds of CPU, medians."""

    what: str
    size_bytes: int
    ours_us: float
    floor_us: float

    @property
    def ratio(self) -> float:
        return self.ours_us / self.floor_us


def read_request(codec: Codec, call: Call, body: bytes) -> RequestFacts:
    return codec.request(strict_json.parse(body, depth_max=JSON_DEPTH_MAX), call)


def read_response(codec: Codec, call: Call, facts: RequestFacts, pieces: list[bytes]) -> None:
    decoder = codec.response(call=call, status=200, content_type=None, request=facts)
    for piece in pieces:
        decoder.feed(piece)
    decoder.finish(complete=True)


def interleaved(
    ours: Callable[[], object], floor: Callable[[], object], *, rounds: int, repeat: int
) -> tuple[float, float]:
    """Median microseconds of CPU per call of each."""
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for task, kept in zip((ours, floor), times, strict=True):
                start = time.process_time_ns()
                for _ in range(repeat):
                    task()
                kept.append((time.process_time_ns() - start) / repeat / 1_000)
    finally:
        gc.enable()
    return statistics.median(times[0]), statistics.median(times[1])


def pair(api: Api, rounds: int) -> Measured:
    request, response = api.request_body(small_talk()), api.answer_body()

    def ours() -> None:  # the codec is chosen once
        codec = codec_for(api.call)
        read_response(codec, api.call, read_request(codec, api.call, request), [response])

    def floor() -> None:
        orjson.loads(request)
        orjson.loads(response)

    size_bytes = len(request) + len(response)
    return Measured(f"{api.name}, small pair", size_bytes, *interleaved(ours, floor, rounds=rounds, repeat=100))


def request(api: Api, size_bytes: int, what: str, *, rounds: int, repeat: int) -> Measured:
    body, codec = api.request_body(agent_talk(size_bytes)), codec_for(api.call)
    times = interleaved(
        lambda: read_request(codec, api.call, body), lambda: orjson.loads(body), rounds=rounds, repeat=repeat
    )
    return Measured(f"{api.name}, {what}", len(body), *times)


def chunk(api: Api, rounds: int) -> Measured:
    """Per chunk of a stream, each fed by itself."""
    data = api.event_bodies(STREAM_CHUNKS)
    pieces = [api.framed(event) for event in data]
    codec = codec_for(api.call)

    def ours() -> None:
        read_response(codec, api.call, RequestFacts(), pieces)

    def floor() -> None:
        for event in data:
            orjson.loads(event)

    whole, bare = interleaved(ours, floor, rounds=rounds, repeat=3)
    return Measured(f"{api.name}, streamed chunk", len(pieces[0]), whole / len(pieces), bare / len(pieces))


def memory_ratio(mib: int) -> tuple[float, float]:
    """Peak resident memory beyond what was there with the body in hand, per byte of the body: (ours, bare orjson). In
    processes of their own."""
    ours, floor = (
        float(
            subprocess.run(
                [sys.executable, "-m", "bench.codecs", "--peak", which, str(mib)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for which in ("ours", "floor")
    )
    return ours, floor


def _peak(which: str, mib: int) -> float:
    """The kernel's high-water mark is set back after the body was made (proc(5): 5 to clear_refs)."""
    codec = codec_for(CHAT.call)
    read_request(codec, CHAT.call, CHAT.request_body(agent_talk(10_000)))  # what is loaded once
    body = CHAT.request_body(agent_talk(mib << 20))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status_bytes("VmRSS")
    if which == "ours":
        read_request(codec, CHAT.call, body)
    else:
        orjson.loads(body)
    return (_status_bytes("VmHWM") - before + len(body)) / len(body)


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def measure(rounds: int, sizes_mib: tuple[int, ...] = GROWTH_MIB) -> Iterator[Measured]:
    for api in APIS:
        yield pair(api, rounds)
    for api in APIS:
        yield request(api, AGENT_BYTES, "an agent's request", rounds=rounds, repeat=3)
    for api in APIS:
        yield chunk(api, rounds)
    for mib in sizes_mib:
        yield request(CHAT, mib << 20, f"a request of {mib} MiB", rounds=max(1, rounds // 3), repeat=1)


def render(rows: list[Measured]) -> str:
    lines = [
        "| what | bytes | ours, µs | bare orjson, µs | ours / orjson | ours, ns per byte |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.what} | {row.size_bytes:,} | {row.ours_us:,.1f} | {row.floor_us:,.1f} | {row.ratio:.1f} "
        f"| {row.ours_us * 1_000 / row.size_bytes:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def render_memory(sizes_mib: tuple[int, ...] = MEMORY_MIB) -> str:
    lines = ["| request, MiB | peak memory, times the body | bare orjson |", "|---:|---:|---:|"]
    for mib in sizes_mib:
        ours, floor = memory_ratio(mib)
        lines.append(f"| {mib} | {ours:.2f} | {floor:.2f} |")
    return "\n".join(lines)


def page(when_and_where: str) -> str:
    """A full run, for bench/results."""
    return f"""# What reading costs

`python -m bench`, {when_and_where}.
CPU time, medians of {ROUNDS} interleaved rounds. Ours: the request read strictly (duplicate keys refused), its facts,
the response's usage and facts; each chunk of a stream is fed by itself. Bare orjson: `orjson.loads` of the same bytes
in the same rounds, the floor to compare with. `bench/codec_bodies.py` makes the bodies.

{render(list(measure(ROUNDS)))}

Peak memory while a chat request is read, beyond what was there with the body in hand:

{render_memory()}
"""


def main() -> int:
    if sys.argv[1:2] == ["--peak"]:
        print(_peak(sys.argv[2], int(sys.argv[3])))
        return 0
    print(render(list(measure(ROUNDS))))
    print(render_memory())
    return 0


if __name__ == "__main__":
    sys.exit(main())
