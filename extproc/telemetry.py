"""What Headgate says of itself: Prometheus metrics and structured logs. No prompt text, key or token ever gets here.

Metrics are counted per exchange and per state, never per item of content; names carry their unit. docs/metrics.md is
generated from `METRICS`.
"""

from __future__ import annotations

import logging
import sys

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """All of extproc's metrics, on a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        at = self.registry
        self.messages = Counter("headgate_messages", "Messages from Envoy, by kind of stream", ["stream"], registry=at)
        self.replies = Counter("headgate_replies", "Replies to Envoy, by kind", ["kind"], registry=at)
        self.exchanges = Counter(
            "headgate_exchanges", "Exchanges that ended, by route and capture_status", ["route", "status"], registry=at
        )
        self.open = Gauge("headgate_open_exchanges", "Exchanges that are open now", registry=at)
        self.aborts = Counter(
            "headgate_aborted_streams", "Streams that were failed closed, by code", ["code"], registry=at
        )
        self.policy_failures = Counter(
            "headgate_policy_failures", "Questions that policy did not answer, by code", ["code"], registry=at
        )
        self.policy_seconds = Histogram(
            "headgate_policy_seconds", "Time that one decision took", buckets=_SECONDS, registry=at
        )
        self.memo_hits = Counter(
            "headgate_policy_memo_hits", "Decisions that were remembered and not asked for", registry=at
        )
        self.memo_misses = Counter(
            "headgate_policy_memo_misses",
            "Decisions that could have been remembered and had to be asked for",
            registry=at,
        )
        self.memo_bypasses = Counter(
            "headgate_policy_memo_bypasses", "Decisions that must not be remembered, by reason", ["reason"], registry=at
        )
        self.memo_bytes = Gauge("headgate_policy_memo_bytes", "Estimated size of the remembered decisions", registry=at)
        self.heartbeat_age = Gauge(
            "headgate_policy_heartbeat_age_seconds",
            "Since OPA last confirmed which policy is live; above 1 it is asked each time, +Inf: it does not answer",
            registry=at,
        )
        self.frames = Counter("headgate_spool_frames", "Frames written to the spool, by kind", ["frame"], registry=at)
        self.frame_failures = Counter(
            "headgate_spool_refused_frames", "Frames that the spool refused, by kind", ["frame"], registry=at
        )
        self.lost = Counter(
            "headgate_lost_exchanges", "Exchanges without a row (spool full, pass and count; or overload)", registry=at
        )
        self.held_bytes = Gauge("headgate_held_bytes", "Bytes of bodies held now", registry=at)
        self.loop_seconds = Histogram(
            "headgate_loop_seconds", "Time one message held the event loop", buckets=_SECONDS, registry=at
        )


def serve_metrics(metrics: Metrics, address: str) -> None:
    """Serve `/metrics` on host:port, from a thread of its own. Raises `OSError` when the address cannot be bound."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), addr=host, registry=metrics.registry)


def configure_logs(level: str) -> None:
    """JSON lines on stderr. Tracebacks are reduced to the error's type: messages of foreign errors may hold text."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
