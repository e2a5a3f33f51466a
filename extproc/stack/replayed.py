"""Routes for `replay:DIR`: any recording can be sent through the gate, to the host that it was recorded from.

The last route takes whatever no other wants, in shadow and untouched. Each recorded host has a route of its own before
it: so a path that happens to begin like one of the configuration's prefixes still goes where it was recorded, and the
archive says `groq` rather than `unknown` where the provider is known. Loopback hosts have none: they
are the gate's own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from extproc.config import Configuration, Match, Provider, RouteSettings, Secret
from extproc.model import Credentials, Mode, OnDiskFull
from extproc.provider_names import provider_of_host
from extproc.upstream.recordings import load_recordings

UNKNOWN: Final = "unknown"
CATCH_ALL: Final = "replay"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[", "[::1]"})


def replay_additions(configuration: Configuration, directory: Path) -> Configuration:
    """The configuration with routes for every recording's host, and one for any."""
    recordings, _ = load_recordings(directory)
    taken = {host.lower() for route in configuration.routes for host in route.match.hosts}
    hosts = {recording.authority.rpartition("@")[2].partition(":")[0] for recording in recordings}
    providers, routes = dict(configuration.providers), list(configuration.routes)
    for host in sorted(hosts - taken - LOOPBACK - {""}):
        name = _identifier(f"{CATCH_ALL}-{host}")
        providers[name] = Provider(name=provider_of_host(host) or UNKNOWN, endpoint=f"https://{host}")
        routes.append(_route(name, host))
    providers[CATCH_ALL] = Provider(name=UNKNOWN, endpoint="https://replay.invalid")
    routes.append(_route(CATCH_ALL, "*"))
    return configuration.model_copy(
        update={
            "providers": providers,
            "routes": tuple(routes),
            "fingerprint_key": configuration.fingerprint_key or Secret(value="replay"),
        }
    )


def _route(name: str, host: str) -> RouteSettings:
    return RouteSettings(
        name=name,
        match=Match(hosts=(host,)),
        provider=name,
        mode=Mode.SHADOW,
        credentials=Credentials.PASSTHROUGH,
        authentication="none",
        on_disk_full=OnDiskFull.PASS_AND_COUNT,
        retries=0,
    )


def _identifier(text: str) -> str:
    """As configuration wants a name: its characters, and at most 63 of them, told apart by a hash where cut."""
    plain = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in text.lower())
    return plain if len(plain) <= 63 else f"{plain[:50]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
