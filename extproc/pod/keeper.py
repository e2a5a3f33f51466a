"""Keeps Envoy: bounds its access log while it runs, drains it when the pod ends.

Envoy by itself does neither. It appends to its log for ever, and SIGTERM cuts every stream at once. Both are done
through its admin socket, from a container that has Python; Envoy's own image need not hold more than a shell.

    running   access log over its bound ── rename to access.log.1 ── POST /reopen_logs
    SIGTERM   POST /drain_listeners?graceful   `connection: close` and GOAWAY on what comes now, new connections go on
              ── at least settle_s (the Service still sends some) and until no request runs, at most drain_s
              ── write run_dir/drained: Envoy's preStop hook waits for that file, then Envoy gets its SIGTERM

The kubelet tells all main containers at the same time that the pod ends, so this one hears of it although Envoy, in
its preStop hook, does not. The sidecars (extproc, capture, OPA) are told only after both are gone.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
from typing import Final

import structlog

from extproc.config import Configuration
from extproc.stack.ready import ask

DRAINED_NAME: Final = "drained"
LOOK_S: Final = 1.0
POLL_S: Final = 0.1
_ACTIVE: Final = "/stats?filter=^http.gate.downstream_rq_active$"
_log = structlog.get_logger()


class Keeper:
    """Runs until `told` is set, then drains. `settle_s` and `drain_s` are seconds from then on."""

    def __init__(
        self, configuration: Configuration, *, settle_s: float, drain_s: float, access_log_bytes_max: int
    ) -> None:
        self._admin = configuration.admin_socket
        self._log_path = configuration.access_log
        self._marker = configuration.run_dir / DRAINED_NAME
        self._settle_s = settle_s
        self._drain_s = drain_s
        self._access_log_bytes_max = access_log_bytes_max

    def run(self, told: threading.Event) -> int:
        """Returns 0 when Envoy has no request left, 1 when some were still running after `drain_s`."""
        self._marker.unlink(missing_ok=True)
        _log.info("keeping", access_log_bytes_max=self._access_log_bytes_max)
        while not told.wait(LOOK_S):
            self.bound_access_log()
        try:
            return self._drain()
        finally:
            self._marker.touch()

    def bound_access_log(self) -> bool:
        """Start a new access log when this one is over its bound; one older file is kept. True when Envoy was told."""
        older = self._log_path.with_name(self._log_path.name + ".1")
        try:
            if self._log_path.exists():
                if self._log_path.stat().st_size <= self._access_log_bytes_max:
                    return False
                self._log_path.replace(older)
            elif not older.exists():
                return False  # Envoy has not begun one
            # Also when only the older file is there: Envoy could not be told when it was renamed, and writes to it.
            ask(self._admin, "/reopen_logs", "POST")
        except (OSError, http.client.HTTPException) as error:
            _log.warning("access_log_not_reopened", error=type(error).__name__)
            return False
        return True

    def _drain(self) -> int:
        began = time.monotonic()
        try:
            ask(self._admin, "/drain_listeners?graceful&skip_exit", "POST")
            _log.info("draining", settle_s=self._settle_s, drain_s=self._drain_s)
            while True:
                passed = time.monotonic() - began
                active = self._active_requests()
                if passed >= self._settle_s and active == 0:
                    _log.info("drained", seconds=round(passed, 1))
                    return 0
                if passed >= self._drain_s:
                    _log.warning("drain_time_over", active=active)
                    return 1
                time.sleep(POLL_S)
        except (OSError, http.client.HTTPException) as error:
            _log.warning("envoy_gone", error=type(error).__name__)
            return 0

    def _active_requests(self) -> int:
        _, body = ask(self._admin, _ACTIVE)
        found = re.search(rb": (\d+)", body)
        return int(found.group(1)) if found else 0
