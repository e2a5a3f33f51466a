"""Routes that could never be taken: an earlier one takes all of their requests, and so hides their mode, too.

The order is that of the rendered configuration: routes that name the request's host before those for any, each in the
order of the file; of those for any host, the ones with a prefix first.
"""

from __future__ import annotations

from collections.abc import Sequence

ANY_HOST = "*"


def hidden_route(routes: Sequence[tuple[str, Sequence[str], str]]) -> tuple[str, str] | None:
    """The first of the routes (name, hosts, prefix) that is never taken, and one taken instead; or None."""
    earlier: list[tuple[str, str, str]] = []
    for name, named_hosts, prefix in routes:
        hosts = sorted({host.lower() for host in named_hosts} or {ANY_HOST})
        takers = [taker for host in hosts if (taker := _taker(earlier, host, prefix)) is not None]
        if len(takers) == len(hosts):
            return name, takers[0]
        earlier += [(host, prefix, name) for host in hosts]
    return None


def _taker(earlier: Sequence[tuple[str, str, str]], host: str, prefix: str) -> str | None:
    """Which of the (host, prefix, name) takes every request for this host and prefix."""
    for other_host, other_prefix, name in earlier:
        waits = host == ANY_HOST and not other_prefix and prefix
        if other_host == host and not waits and f"{prefix}/".startswith(f"{other_prefix}/"):
            return name
    return None
