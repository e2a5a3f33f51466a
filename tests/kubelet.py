"""What a kubelet does with a pod, as far as local processes can show it: volumes, order of start and stop, probes.

Commands, arguments, environment and files are the chart's own. Two things are replaced in them, and nothing else: each
mount path by the folder that stands for the volume, and 0.0.0.0 by 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extproc.stack.tools import find_envoy, pinned_opa
from tests.chart import Node, containers, manifests, one, pod

INIT_S_MAX = 60.0
STAMP = "..2026_11_21_12_00_00.000000001"


def write_atomically(folder: Path, files: Mapping[str, str]) -> None:
    """A ConfigMap or Secret volume as the kubelet lays it out: a dated folder, `..data`, and links at the top."""
    for path, text in files.items():
        target = folder / STAMP / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    (folder / "..data").symlink_to(STAMP)
    for top in sorted({path.split("/")[0] for path in files}):
        (folder / top).symlink_to(Path("..data") / top)


def projected(volume: Node, data: Mapping[str, str]) -> dict[str, str]:
    """Path → text of a ConfigMap or Secret volume: `items`, or every key."""
    items = volume.get("items")
    return {item["path"]: data[item["key"]] for item in items} if items is not None else dict(data)


class LocalPod:
    """One pod of the rendered chart as local processes. A context manager: nothing of it is left afterwards."""

    def __init__(self, rendered: str, objects: Mapping[str, Mapping[str, str]], name: str = "headgate-0") -> None:
        """`objects`: Secrets and ConfigMaps that are not the chart's, by name."""
        documents = manifests(rendered)
        self.spec = pod(documents)
        self.containers = containers(self.spec)
        self.name = name
        self.root = Path(tempfile.mkdtemp(prefix="hg-pod-"))
        self.exits: list[str] = []
        """Names of containers in the order in which they ended."""
        self.codes: dict[str, int] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._programs = {
            "headgate": Path(sys.executable).with_name("headgate"),
            "python": Path(sys.executable),
            "envoy": find_envoy(),
            "/opa": pinned_opa(),
            "/bin/sh": Path("/bin/sh"),
        }
        claims = one(documents, "StatefulSet")["spec"]["volumeClaimTemplates"]
        volumes = {v["name"]: v for v in [*self.spec["volumes"], *({"name": c["metadata"]["name"]} for c in claims)]}
        self.places = self._places()
        own = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
        for volume in volumes.values():
            self._make(volume, own, objects)

    def __enter__(self) -> LocalPod:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def path(self, mounted: str) -> Path:
        """Where a path in the pod lies here."""
        return Path(self.local(mounted))

    def local(self, text: str) -> str:
        """The text with every mount path replaced, longest first, and no address but loopback."""
        mounts = sorted((place for place in self.places if place != "/tmp"), key=len, reverse=True)
        pattern = rf"(?<![\w.-])({'|'.join(map(re.escape, mounts))})(?![\w.-])"
        return re.sub(pattern, lambda found: str(self.places[found[1]]), text).replace("0.0.0.0", "127.0.0.1")

    def start(self) -> None:
        """Init containers in order; those that stay are not waited for; then all main containers."""
        for container in self.spec["initContainers"]:
            self._run(container)
            if container.get("restartPolicy") != "Always":
                code = self._processes.pop(container["name"]).wait(INIT_S_MAX)
                assert code == 0, f"{container['name']} ended with {code}:\n{self.log(container['name'])}"
        for container in self.spec["containers"]:
            self._run(container)

    def stop(self) -> None:
        """Main containers at once, each after its preStop hook; then the sidecars in reverse order. All within the
        pod's grace period, or it is killed and says so in `codes`."""
        deadline = time.monotonic() + self.spec["terminationGracePeriodSeconds"]
        mains = [threading.Thread(target=self._end, args=(c, deadline)) for c in self.spec["containers"]]
        for thread in mains:
            thread.start()
        for thread in mains:
            thread.join()
        for container in reversed(self.spec["initContainers"]):
            if container.get("restartPolicy") == "Always":
                self._end(container, deadline)

    def pid(self, container: str) -> int:
        return self._processes[container].pid

    def running(self) -> list[str]:
        return [name for name, process in self._processes.items() if process.poll() is None]

    def log(self, container: str) -> str:
        return (self.root / "log" / container).read_text(errors="replace")

    def probe(self, container: str, kind: str) -> bool:
        """One look of the kubelet: `livenessProbe` or `readinessProbe`."""
        settings = self.containers[container][kind]
        if "exec" in settings:
            command = self._command(settings["exec"]["command"])
            return self._finished(command, self.containers[container], settings["timeoutSeconds"])
        get = settings["httpGet"]
        ports = {port["name"]: port["containerPort"] for port in self.containers[container]["ports"]}
        connection = http.client.HTTPConnection("127.0.0.1", ports[get["port"]], timeout=settings["timeoutSeconds"])
        try:
            connection.request("GET", get["path"])
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def execute(self, container: str, *command: str) -> subprocess.CompletedProcess[str]:
        """`kubectl exec`."""
        return subprocess.run(
            self._command([self.local(word) for word in command]),
            env=self._environment(self.containers[container]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _places(self) -> dict[str, Path]:
        """Mount path → folder or file here. One path is one thing in all containers, so one table does."""
        places: dict[str, Path] = {}
        for container in self.containers.values():
            for mount in container["volumeMounts"]:
                place = self.root / "vol" / mount["name"] / mount.get("subPath", "")
                assert places.setdefault(mount["mountPath"], place) == place, mount
        return places

    def _make(self, volume: Node, own: Mapping[str, Any], objects: Mapping[str, Mapping[str, str]]) -> None:
        folder = self.root / "vol" / volume["name"]
        folder.mkdir(parents=True)
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            data = {key: self.local(text) for key, text in own[name].items()} if name in own else objects[name]
            write_atomically(folder, projected(volume["configMap"], data))
        elif "secret" in volume:
            write_atomically(folder, projected(volume["secret"], objects[volume["secret"]["secretName"]]))

    def _command(self, words: list[str]) -> list[str]:
        return [str(self._programs[words[0]]), *(self.local(word) for word in words[1:])]

    def _environment(self, container: Node) -> dict[str, str]:
        found = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "TMPDIR": str(self.root / "vol" / "tmp")}
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            assert source in (None, "metadata.name")
            found[variable["name"]] = self.name if source else self.local(variable["value"])
        return found

    def _run(self, container: Node) -> None:
        log = self.root / "log" / container["name"]
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as output:
            self._processes[container["name"]] = subprocess.Popen(
                self._command([*container["command"], *container.get("args", [])]),
                env=self._environment(container),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.root,
            )

    def _end(self, container: Node, deadline: float) -> None:
        name = container["name"]
        hook = container.get("lifecycle", {}).get("preStop")
        if hook is not None:
            left = deadline - time.monotonic()
            self._finished(self._command(hook["exec"]["command"]), container, left)
        process = self._processes[name]
        process.terminate()
        try:
            self.codes[name] = process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            self.codes[name] = process.wait()
        self.exits.append(name)

    def _finished(self, command: list[str], container: Node, within_s: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return (
                subprocess.run(
                    command, env=self._environment(container), capture_output=True, timeout=within_s, check=False
                ).returncode
                == 0
            )
        return False
