"""What reading costs: the data path's decode of each api beside a bare `orjson` decode of the same bytes.

    python -m bench.codecs

The decode is what an exchange waits for or pays for: one strict reading of the request (duplicate keys refused) and the
api's facts of it, then the response's usage and facts. No detectors, no text for the archive. Times are the medians of
interleaved rounds; the floor is `orjson.loads` of the same bytes in the same rounds.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from extproc.codecs import codec_for
from extproc.framing import strict_json
from extproc.model import Call, RequestFacts

JSON_DEPTH_MAX = 128
GROWTH_MIB = (1, 4, 16, 64)
AGENT_BYTES = 1_000_000
STREAM_CHUNKS = 400

CHAT = Call("POST", "/v1/chat/completions", "api.openai.com")
MESSAGES = Call("POST", "/v1/messages", "api.anthropic.com")


@dataclass(frozen=True)
class Measured:
    """Microseconds, medians."""

    what: str
    size_bytes: int
    ours_us: float
    floor_us: float

    @property
    def ratio(self) -> float:
        return self.ours_us / self.floor_us


def read_request(call: Call, body: bytes) -> RequestFacts:
    return codec_for(call).request(strict_json.parse(body, depth_max=JSON_DEPTH_MAX), call)


def read_response(call: Call, facts: RequestFacts, pieces: list[bytes]) -> None:
    decoder = codec_for(call).response(call=call, status=200, content_type=None, request=facts)
    for piece in pieces:
        decoder.feed(piece)
    decoder.finish(complete=True)


def interleaved(
    ours: Callable[[], object], floor: Callable[[], object], *, rounds: int, repeat: int
) -> tuple[float, float]:
    """Median microseconds per call of each."""
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for task, kept in zip((ours, floor), times, strict=True):
                start = time.perf_counter_ns()
                for _ in range(repeat):
                    task()
                kept.append((time.perf_counter_ns() - start) / repeat / 1_000)
    finally:
        gc.enable()
    return statistics.median(times[0]), statistics.median(times[1])


# ── bodies, made here ────────────────────────────────────────────────────────────────────────────────────────────────


def small_pair(call: Call) -> tuple[bytes, bytes]:
    """A short question and its answer, about 0.8 and 0.9 KB."""
    asked = [{"role": "user", "content": "Which of these two dates comes first: 2024-02-29 or 2024-03-01? " * 4}]
    answer = "The first one: February ends a day later in a leap year. " * 6
    if call is CHAT:
        request = {"model": "gpt-4o-mini", "messages": [{"role": "system", "content": "Be brief: one line."}, *asked]}
        response = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": answer, "refusal": None},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 90,
                "completion_tokens": 84,
                "total_tokens": 174,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
        }
    else:
        request = {"model": "claude-sonnet-4-5", "max_tokens": 512, "system": "Be brief: one line.", "messages": asked}
        response = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": answer}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 90, "output_tokens": 84, "cache_read_input_tokens": 0},
        }
    return json.dumps(request).encode(), json.dumps(response).encode()


def agent_request(size_bytes: int) -> bytes:
    """A coding agent's resent history: prose, code with colons and quotes, tool calls and their results."""
    source = 'def area(shape: dict) -> float:\n    """Area: w times h."""\n    return shape["w"] * shape["h"]  # a\n'
    accented = source.replace("Area", "Fläche · 面積")  # Python takes two bytes for each character of such a text
    messages: list[dict[str, object]] = [{"role": "system", "content": "You are a careful engineer. " * 200}]
    held = 0
    turn = 0
    while held < size_bytes:
        turn += 1
        arguments = json.dumps({"path": f"src/file_{turn}.py", "lines": [turn, turn + 40], "note": "a: b"})
        call = {"id": f"call_{turn}", "type": "function", "function": {"name": "read_file", "arguments": arguments}}
        messages += [
            {"role": "user", "content": f"Step {turn}: look at the next file, then go on. " * 8},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{turn}", "content": (source if turn % 5 else accented) * 60},
        ]
        held += 60 * (len(source) + 8) + 900
    tools = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": f"{name}: does what its name says, and no more.",
                "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
            },
        }
        for name in ("read_file", "write_file", "run", "search")
    ]
    return json.dumps(
        {"model": "gpt-5", "stream": True, "messages": messages, "tools": tools}, ensure_ascii=False
    ).encode()


def chat_chunks(count: int) -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "gpt-4o-mini"}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": {"content": f" word{n}"}, "logprobs": None, "finish_reason": None}]}
        for n in range(count)
    ]
    return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]


def claude_chunks(count: int) -> list[bytes]:
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f" word{n}"}}
        for n in range(count)
    ]
    return [b"event: content_block_delta\ndata: " + json.dumps(delta).encode() + b"\n\n" for delta in deltas]


# ── measurements ─────────────────────────────────────────────────────────────────────────────────────────────────────


def pairs(rounds: int) -> Iterator[Measured]:
    for name, call in (("openai.chat", CHAT), ("anthropic.messages", MESSAGES)):
        request, response = small_pair(call)

        def ours(call: Call = call, request: bytes = request, response: bytes = response) -> None:
            read_response(call, read_request(call, request), [response])

        def floor(request: bytes = request, response: bytes = response) -> None:
            orjson.loads(request)
            orjson.loads(response)

        yield Measured(
            f"{name}, small pair", len(request) + len(response), *interleaved(ours, floor, rounds=rounds, repeat=200)
        )


def agent(rounds: int) -> Measured:
    body = agent_request(AGENT_BYTES)
    return Measured(
        "openai.chat, agent request",
        len(body),
        *interleaved(lambda: read_request(CHAT, body), lambda: orjson.loads(body), rounds=rounds, repeat=5),
    )


def chunks(rounds: int) -> Iterator[Measured]:
    """Per chunk of a stream, each fed by itself."""
    for name, call, pieces in (
        ("openai.chat, streamed chunk", CHAT, chat_chunks(STREAM_CHUNKS)),
        ("anthropic.messages, streamed chunk", MESSAGES, claude_chunks(STREAM_CHUNKS)),
    ):
        data = [piece[piece.index(b"{") :] for piece in pieces]

        def ours(call: Call = call, pieces: list[bytes] = pieces) -> None:
            read_response(call, RequestFacts(), pieces)

        def floor(data: list[bytes] = data) -> None:
            for piece in data:
                orjson.loads(piece)

        whole, bare = interleaved(ours, floor, rounds=rounds, repeat=3)
        yield Measured(name, len(pieces[0]), whole / len(pieces), bare / len(pieces))


def growth(rounds: int, sizes_mib: tuple[int, ...] = GROWTH_MIB) -> Iterator[Measured]:
    for mib in sizes_mib:
        body = agent_request(mib << 20)
        yield Measured(
            f"openai.chat, request of {mib} MiB",
            len(body),
            *interleaved(
                lambda body=body: read_request(CHAT, body),
                lambda body=body: orjson.loads(body),
                rounds=rounds,
                repeat=1,
            ),
        )


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
    read_request(CHAT, agent_request(10_000))  # what is loaded once
    body = agent_request(mib << 20)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status_bytes("VmRSS")
    if which == "ours":
        read_request(CHAT, body)
    else:
        orjson.loads(body)
    return (_status_bytes("VmHWM") - before + len(body)) / len(body)


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def measure(rounds: int, sizes_mib: tuple[int, ...] = GROWTH_MIB) -> list[Measured]:
    return [*pairs(rounds), agent(rounds), *chunks(rounds), *growth(max(1, rounds // 3), sizes_mib)]


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


def main() -> int:
    if sys.argv[1:2] == ["--peak"]:
        print(_peak(sys.argv[2], int(sys.argv[3])))
        return 0
    print(render(measure(9)))
    for mib in (16, 64):
        ours, floor = memory_ratio(mib)
        print(f"peak memory at {mib} MiB: {ours:.2f} times the body (body included); bare orjson {floor:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
