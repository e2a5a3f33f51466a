"""What one exchange costs: CPU of the sidecar, and delay added, for plain Envoy, shadow and enforce, in one run.

Interleaved rounds on one machine, medians of the rounds:
    direct     the simulated upstream without Envoy
    plain      Envoy with the same listener and routes, without ext_proc
    no-op      Envoy and a sidecar on the same transport that says "go on" to everything: the floor of `enforce`
    shadow     the whole product, observed
    enforce    the whole product, inline: inspection, a decision by OPA, frames in the spool
Delay is the p50 of one connection; CPU is user and system time of the processes over 16 connections, per exchange.
The ratio to the floor is what may be compared between machines; absolute figures may not.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.load import Target, post, run
from extproc.stack import Stack, plan

ROOT = Path(__file__).parents[1]
BODY = json.dumps(
    {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "You answer questions about the company's products, politely and briefly."},
            {
                "role": "user",
                "content": "Which of our rain jackets is the lightest, and is it in stock in size L? " * 8,
            },
        ],
    }
).encode()
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 16


def cpu_s(pid: int) -> float:
    """User and system time of a process and its living children, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_s(int(child)) for child in children)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def variant(bootstrap: dict[str, Any], folder: Path, name: str, port: int, sidecar: Path | None) -> Path:
    """Envoy's bootstrap with another port and admin socket; without ext_proc, or with another sidecar's socket."""
    text = json.dumps(bootstrap)
    config = json.loads(text)
    config["admin"]["address"]["pipe"]["path"] = str(folder / f"{name}.sock")
    listener = config["static_resources"]["listeners"][0]
    listener["address"]["socket_address"]["port_value"] = port
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["access_log"] = []
    ours = ("headgate.decide", "headgate.observe")
    if sidecar is None:
        manager["http_filters"] = [f for f in manager["http_filters"] if f["name"] not in ours]
        for host in manager["route_config"]["virtual_hosts"]:
            for route in host["routes"]:
                for filter_name in ours:
                    route.get("typed_per_filter_config", {}).pop(filter_name, None)
    else:
        for cluster in config["static_resources"]["clusters"]:
            for endpoint in cluster.get("load_assignment", {}).get("endpoints", []):
                for one in endpoint["lb_endpoints"]:
                    address = one["endpoint"]["address"]
                    if address.get("pipe", {}).get("path", "").endswith("extproc.sock"):
                        address["pipe"]["path"] = str(sidecar)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@contextmanager
def process(command: list[str], ready: Path, log: Path) -> Iterator[int]:
    """A child that is ready when its socket accepts; ended, by its pid, on the way out."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT) as child:
        try:
            deadline = time.monotonic() + 20
            while not _accepts(ready):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} did not start: {log.read_text()[-500:]}")
                time.sleep(0.02)
            yield child.pid
        finally:
            child.terminate()


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def measure(rounds: int, requests: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        with Stack(plan(ROOT / "envoy/headgate.yaml", state=folder / "s", port=0, concurrency=1), print) as stack:
            bootstrap = yaml.safe_load(stack.plan.envoy_path.read_text())
            upstream_port = free_port()
            noop = folder / "noop.sock"
            ports = {"plain": free_port(), "no-op": free_port()}
            envoy = [str(stack.plan.envoy), "--disable-hot-restart", "--concurrency", "1", "--log-level", "error", "-c"]
            plain = variant(bootstrap, folder, "plain", ports["plain"], None)
            floor = variant(bootstrap, folder, "floor", ports["no-op"], noop)
            simulated = [sys.executable, "-m", "extproc.upstream", "simulated", "--port", str(upstream_port)]
            with (
                process([sys.executable, "-m", "bench.noop", str(noop)], noop, folder / "noop.log") as noop_pid,
                process([*envoy, str(plain)], folder / "plain.sock", folder / "plain.log") as plain_pid,
                process([*envoy, str(floor)], folder / "floor.sock", folder / "floor.log") as floor_pid,
                subprocess.Popen(simulated, stdout=subprocess.DEVNULL, cwd=ROOT) as direct,
            ):
                try:
                    gate = int(stack.base_url.rpartition(":")[2])
                    pids = stack.pids
                    enforced = post("/openai/v1/chat/completions", "gate", "example-key-search", BODY)
                    shadowed = post("/v1/chat/completions", "api.openai.com", "sk-example-search-legacy-app", BODY)
                    targets = {
                        "direct": (Target("direct", "127.0.0.1", upstream_port, shadowed), {}),
                        "plain": (Target("plain", "127.0.0.1", ports["plain"], enforced), {"envoy": plain_pid}),
                        "no-op": (
                            Target("no-op", "127.0.0.1", ports["no-op"], enforced),
                            {"envoy": floor_pid, "sidecar": noop_pid},
                        ),
                        "shadow": (Target("shadow", "127.0.0.1", gate, shadowed), _ours(pids)),
                        "enforce": (Target("enforce", "127.0.0.1", gate, enforced), _ours(pids)),
                    }
                    return asyncio.run(_rounds(targets, rounds, requests))
                finally:
                    direct.terminate()


def _ours(pids: dict[str, int]) -> dict[str, int]:
    return {"envoy": pids["envoy"], "sidecar": pids["extproc"], "opa": pids["opa"], "capture": pids["capture"]}


async def _rounds(targets: dict[str, tuple[Target, dict[str, int]]], rounds: int, requests: int) -> dict[str, Any]:
    seen: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for target, _ in targets.values():
        await _when_up(target)
        await run(target, requests=40, connections=4)  # warm
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, (target, processes) in targets.items():
            latencies = await run(target, requests=max(50, requests // 4), connections=1)
            seen[name]["p50_ms"].append(statistics.median(latencies) * 1e3)
            before = {part: cpu_s(pid) for part, pid in processes.items()}
            await run(target, requests=requests, connections=CONNECTIONS)
            await _until_idle(processes)  # what is done after the response counts too, and must not disturb the next
            for part, pid in processes.items():
                seen[name][f"{part}_us"].append((cpu_s(pid) - before[part]) / requests * 1e6)
    return {name: {key: statistics.median(values) for key, values in row.items()} for name, row in seen.items()}


async def _until_idle(processes: dict[str, int]) -> None:
    """Wait until none of them uses the CPU any more, at most 20 s: in shadow the work lags behind the client."""
    deadline = time.monotonic() + 20
    before = -1.0
    while (now := sum(cpu_s(pid) for pid in processes.values())) - before > 0.03 and time.monotonic() < deadline:
        before = now
        await asyncio.sleep(0.5)


async def _when_up(target: Target) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            await run(target, requests=1, connections=1)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


def render(result: dict[str, Any]) -> str:
    direct, floor = result["direct"]["p50_ms"], result["no-op"]["sidecar_us"]
    lines = [
        "| | p50 ms | added to direct, ms | sidecar CPU us | of the floor | Envoy us | OPA us | capture us |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result.items():
        sidecar = row.get("sidecar_us")
        cells = [
            f"{row['p50_ms']:.2f}",
            f"{row['p50_ms'] - direct:+.2f}",
            f"{sidecar:.0f}" if sidecar is not None else "",
            f"{sidecar / floor:.1f}" if sidecar is not None and floor else "",
            *(f"{row[key]:.0f}" if key in row else "" for key in ("envoy_us", "opa_us", "capture_us")),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
