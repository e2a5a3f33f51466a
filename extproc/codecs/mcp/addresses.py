"""Where MCP is spoken: nowhere in particular, so an address has to say it, or a client whose every word is checked.

    POST   JSON-RPC messages; the answer is JSON or an event stream
    GET    opens a stream of what the server has to say on its own
    DELETE ends the session

A path says it by a segment that is `mcp` (`/mcp`, `/api/mcp/s/1`, `/_mcp/server`) or by its end (`/github-mcp`), a host
by a label (`mcp.stripe.com`). The transport before this one (2024-11-05) had `GET /sse` and
`POST /messages?sessionId=…`.

Headers are the client's own words. They open POST only, whose body must then be JSON-RPC and nothing beside it: there
is nothing to gain by them. A GET or DELETE has no body that could be checked, so its address has to say it, and by a
whole segment: callers choose names (`DELETE /v1/files/my-mcp`), and ids are given to them.

Source: MCP specification, "Transports" (2024-11-05, 2025-03-26 … 2026-07-28).
"""

from __future__ import annotations

import re

from extproc.model import Call

_PATH = re.compile(
    r"(?:/[^/]+)*/(?:_?mcp(?:/.*)?|(?:[\w.@~+-]*[._@~-])?mcp(?:[._-][\w.-]*)?/?)", re.IGNORECASE | re.ASCII
)
_WHOLE_SEGMENT = re.compile(r"(?:/[^/]+)*/_?mcp(?:/.*)?", re.IGNORECASE)
_HOST = re.compile(r"(?:.*[.-])?mcp(?:[.-].*)?", re.IGNORECASE)
_OLD_PATHS = {"GET": re.compile(r"(?:/[^/]+)*/sse/?"), "POST": re.compile(r"/messages?/?")}
_METHODS = frozenset({"POST", "GET", "DELETE"})
_HINTS = ("mcp-protocol-version", "mcp-session-id")
_BOTH = frozenset({"application/json", "text/event-stream"})


def says_mcp(call: Call) -> bool:
    """Does the address itself say it?"""
    if call.method not in _METHODS:
        return False
    old = _OLD_PATHS.get(call.method)
    return (
        (_PATH if call.method == "POST" else _WHOLE_SEGMENT).fullmatch(call.path) is not None
        or _HOST.fullmatch(call.host.partition(":")[0]) is not None
        or (old is not None and old.fullmatch(call.path) is not None)
    )


def asks_for_mcp(call: Call) -> bool:
    """Do the client's headers say it, as the specification wants them: a version, a session, or both kinds of answer
    and no third?"""
    if call.method != "POST":
        return False
    accepted = {kind.partition(";")[0].strip().lower() for kind in call.hints.get("accept", "").split(",")}
    return any(call.hints.get(name) for name in _HINTS) or accepted == _BOTH
