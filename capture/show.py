"""One conversation laid out to be read: who, where to, what was decided and why, what was said, tokens and money."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from capture.database import Database
from capture.errors import QueryRefused
from capture.output import cell, safe_text, terminal_columns

ID_CHARS_MIN = 4
_SESSION_ROWS_MAX = 500
_TEXT_LINES_MAX = 400
"""Of one part of a message."""
_INDENT = "    "

_BY_ID = """
SELECT exchange_id, session_id FROM facts
WHERE exchange_id = ? OR session_id = ? OR starts_with(exchange_id, ?) OR starts_with(session_id, ?)
"""
_EXCHANGES = "SELECT * FROM exchanges WHERE {condition} ORDER BY turn NULLS FIRST, ts, exchange_id LIMIT ?"


def find(database: Database, wanted: str) -> list[dict[str, Any]]:
    """The rows of an exchange or, oldest first, of a session. `wanted` is an id or a prefix that only one has.

    Raises `QueryRefused` when none or several match. A session has the name of its first exchange, and that id shows
    the session.
    """
    wanted = wanted.strip().lower()
    if len(wanted) < ID_CHARS_MIN:
        raise QueryRefused("id_too_short", f"give at least {ID_CHARS_MIN} characters of the id")
    matches = database.rows(_BY_ID, [wanted] * 4)
    sessions = {row["session_id"] for row in matches if (row["session_id"] or "").startswith(wanted)}
    exchanges = {row["exchange_id"] for row in matches if row["exchange_id"].startswith(wanted)}
    found = sorted(sessions | exchanges)
    if not found:
        raise QueryRefused("id_unknown", f"no exchange or session begins with {wanted}", 404)
    if len(found) > 1:
        some = ", ".join(found[:3])
        raise QueryRefused("id_ambiguous", f"{len(found)} ids begin with {wanted}: {some}, …; give more of it")
    column = "session_id" if found[0] in sessions else "exchange_id"
    return database.rows(_EXCHANGES.format(condition=f"{column} = ?"), [found[0], _SESSION_ROWS_MAX])


def lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The text to print, line by line."""
    if len(rows) > 1:
        first, last = rows[0], rows[-1]
        yield f"session   {first['session_id']}"
        yield f"          {len(rows)} exchanges, {cell(first['ts'])} to {cell(last['ts'])}"
        yield ""
    for index, row in enumerate(rows):
        if index:
            yield ""
        yield from _exchange(row)


def _exchange(row: dict[str, Any]) -> Iterator[str]:
    turn = f", turn {row['turn']} of session {row['session_id']}" if row["turn"] else ""
    yield f"━━ exchange {row['exchange_id']}{turn}"
    yield from _fields(
        {
            "when": cell(row["ts"]) + _if(row["duration"], ", took {:.2f} s"),
            "who": " / ".join(
                cell(row[name]) for name in ("team", "project", "caller", "user_id", "workload") if row[name]
            )
            or "unattributed",
            "proved by": cell(row["principal_source"]),
            "call": f"{cell(row['method'])} {cell(row['host'])}{cell(row['path'])}  "
            f"(route {cell(row['route'])}, {cell(row['api'])}, {cell(row['mode'])})",
            "model": _models(row),
            "decision": _decision(row),
            "findings": _findings(row),
            "outcome": _outcome(row),
            "tokens": _tokens(row),
            "cost": _cost(row),
            "warnings": ", ".join(map(cell, row["warnings"] or ())),
        }
    )
    yield from _conversation(row)


def _fields(fields: dict[str, str]) -> Iterator[str]:
    width = terminal_columns()
    for name, value in fields.items():
        if value:
            yield from textwrap.wrap(
                value, width, initial_indent=f"{name:<10}", subsequent_indent=" " * 10, break_on_hyphens=False
            )


def _models(row: dict[str, Any]) -> str:
    asked, answered = cell(row["gen_ai_request_model"]), cell(row["gen_ai_response_model"])
    if answered and answered != asked:
        return f"{asked or '?'}, answered by {answered}"
    return asked


def _decision(row: dict[str, Any]) -> str:
    if row["decision"] is None:
        return "none (the exchange ended before)"
    text = cell(row["decision"])
    if row["would_decision"] and row["would_decision"] != row["decision"]:
        text += f" (would {cell(row['would_decision'])})"
    if row["policy_failure"]:
        text += f", no policy answered: {cell(row['policy_failure'])}"
    if row["problem"]:
        text += f", problem: {cell(row['problem'])}"
    for reason in row["reasons"] or ():
        shadow = "" if reason["enforced"] else ", in shadow"
        text += f"; {cell(reason['rule'])} ({cell(reason['action'])}{shadow}): {cell(reason['message'])}"
    return text + (f"; policy {cell(row['policy_revision'])}" if row["policy_revision"] else "")


def _findings(row: dict[str, Any]) -> str:
    return ", ".join(
        f"{cell(item['type'])} at {cell(item['field'])} ({cell(item['action'])})"
        for item in (row["findings"] or ())[:20]
    )


def _outcome(row: dict[str, Any]) -> str:
    parts = [cell(row["capture_status"])]
    if row["http_status"]:
        parts.append(f"HTTP {row['http_status']}" + _if(row["answered_by"], " from {}"))
    if row["error_type"]:
        parts.append(f"error {cell(row['error_type'])}" + _if(row["error_message"], ": {}"))
    if row["gen_ai_response_finish_reasons"]:
        parts.append("finished by " + ", ".join(map(cell, row["gen_ai_response_finish_reasons"])))
    return ", ".join(parts)


def _tokens(row: dict[str, Any]) -> str:
    if row["gen_ai_usage_input_tokens"] is None and row["gen_ai_usage_output_tokens"] is None:
        return ""
    given = {
        "in": row["gen_ai_usage_input_tokens"],
        "out": row["gen_ai_usage_output_tokens"],
        "from cache": row["gen_ai_usage_cache_read_input_tokens"],
        "to cache": row["gen_ai_usage_cache_creation_input_tokens"],
        "reasoning": row["gen_ai_usage_reasoning_output_tokens"],
    }
    counts = ", ".join(f"{value} {name}" for name, value in given.items() if value is not None)
    return f"{counts} ({cell(row['usage_source'])})"


def _cost(row: dict[str, Any]) -> str:
    if row["billed_cost"] is not None:
        return f"{cell(row['billed_cost'])} {cell(row['billing_currency'])}"
    return f"unknown: {cell(row['cost_unknown_reason'])}" if row["cost_unknown_reason"] else ""


def _conversation(row: dict[str, Any]) -> Iterator[str]:
    messages = row["messages"]
    if row["system_text"]:
        yield from _said("system", [row["system_text"]])
    if row["inherited_messages"]:
        messages_word = "message" if row["inherited_messages"] == 1 else "messages"
        yield f"  … {row['inherited_messages']} earlier {messages_word} resent: headgate show {row['session_id']}"
    for message in messages or ():
        parts = message["parts"] or ()
        yield from _said(message["role"], (_part(part) for part in parts))
    if not messages:
        yield from _unread(row)
    if row["text_truncated"]:
        yield "  … text cut at its limit; the bodies are whole: request_body, response_body in the view exchanges"


def _part(part: dict[str, Any]) -> str:
    kind = part["type"]
    if kind == "tool_call":
        return f"→ {part['tool_name'] or '?'}({part['arguments'] or ''})"
    if kind == "tool_result":
        return f"← {part['text'] or ''}"
    if kind == "text":
        return part["text"] or ""
    return f"[{kind}] {part['text'] or part['media_type'] or ''}"


def _unread(row: dict[str, Any]) -> Iterator[str]:
    """No messages: say what the archive holds instead."""
    for side in ("request", "response"):
        body = row[f"{side}_body"]
        state = cell(row[f"{side}_content_state"]) or "unknown"
        if body:
            yield f"  {side}: {len(body)} bytes kept ({state}), no messages read from them"
        elif row[f"{side}_bytes"]:
            yield f"  {side}: {row[f'{side}_bytes']} bytes, not kept ({state})"


def _said(role: str | None, texts: Iterable[str]) -> Iterator[str]:
    yield f"  {cell(role) or '?'}"
    width = terminal_columns()
    for text in texts:
        shown = 0
        for line in safe_text(text).split("\n"):
            for piece in textwrap.wrap(line, width - len(_INDENT), drop_whitespace=False) or [""]:
                if shown == _TEXT_LINES_MAX:
                    yield f"{_INDENT}…"
                    break
                yield f"{_INDENT}{piece}".rstrip()
                shown += 1
            if shown == _TEXT_LINES_MAX:
                break


def _if(value: Any, template: str) -> str:
    return template.format(cell(value) if isinstance(value, str) else value) if value is not None else ""
