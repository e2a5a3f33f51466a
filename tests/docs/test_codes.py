"""Every code that a client, a row or a metric can show is explained, and nothing is explained that cannot be shown."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.columns import SECTIONS, Tree
from extproc.decision import FAILURES
from extproc.envoy_config.local_reply import local_errors
from extproc.framing import strict_json
from extproc.model import PrincipalSource, UsageSource
from tests.docs.pages import ROOT
from tools.reference_codes import groups

TABLE = {group.id: group.codes for group in groups()}
EXPLAINED = frozenset().union(*TABLE.values())

CALLS = {
    "ClientError", "LimitExceeded", "HeadgateError", "DependencyError", "Problem", "PolicyFailed", "RewriteFailed",
    "Abort", "_abort", "_refuse", "_unknown", "_warn", "warn", "_stop_decoding", "fail",
}  # fmt: skip
"""What takes a code as its first argument."""
OUTSIDE = {
    "cli.py",
    "commands",
    "config.py",
    "teams.py",
    "envoy_config",
    "pod",
    "policy_check.py",
    "policy_scaffold.py",
    "policy_tools.py",
    "policy_try.py",
    "rehearsal",
    "stack",
    "upstream",
}
"""Parts of extproc whose errors an operator reads as a sentence, without a code."""
OF_CAPTURE = ("batch.py", "derive.py", "join.py", "parquet.py", "rows.py")
INTERNAL = {
    "pointer_too_long",  # becomes the problem `inspect_budget`
    "rewrite_failed",  # becomes the refusal `redaction_failed`
}
"""Codes that are turned into another one before anybody sees them."""
GRAMMARS = {"codecs", "dialects"}
"""Parts of extproc that are full of tuples of an API's own names: there, only what is called warnings is a code."""


def sources() -> list[Path]:
    extproc = [
        path
        for path in (ROOT / "extproc").rglob("*.py")
        if path.relative_to(ROOT / "extproc").parts[0] not in OUTSIDE and "_pb" not in path.parts
    ]
    return [*extproc, *(ROOT / "capture" / name for name in OF_CAPTURE)]


def literals(node: ast.expr) -> Iterator[str]:
    """Texts that an expression can be: a literal, or one of two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def codes_in(tree: ast.AST, *, is_grammar: bool = False) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CALLS:
                yield from literals(node.args[0])
        elif isinstance(node, ast.Tuple):
            yield from _in_refusal(node)
    for node in _called_warnings(tree) if is_grammar else [tree]:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Tuple):
                yield from _in_warnings(inner)


def _kinds(node: ast.Tuple) -> list[type]:
    return [type(item.value) if isinstance(item, ast.Constant) else type(item) for item in node.elts]


def _in_refusal(node: ast.Tuple) -> Iterator[str]:
    """(code, message, status)"""
    if _kinds(node) == [str, str, int]:
        yield from literals(node.elts[0])


def _in_warnings(node: ast.Tuple) -> Iterator[str]:
    """("code",) or (*others, "code")"""
    if _kinds(node) in ([str], [ast.Starred, str]):
        yield from literals(node.elts[-1])


def _called_warnings(tree: ast.AST) -> Iterator[ast.expr]:
    """What is assigned to `warnings`, or given as an argument of that name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword | ast.Assign):
            names = [node.arg] if isinstance(node, ast.keyword) else [getattr(one, "id", "") for one in node.targets]
            if "warnings" in names:
                yield node.value


def test_the_search_finds_codes_however_they_are_written() -> None:
    tree = ast.parse(
        'raise ClientError("a_a", f"x {1}")\nself._warn("b" if big else "c")\nreturn "d", "text", 413\n'
        'warnings = (*warnings, "e")\nreturn None, ("f",)\nother("no")\n'
    )
    assert sorted(codes_in(tree)) == ["a_a", "b", "c", "d", "e", "f"]


def test_names_of_an_api_are_no_codes_but_warnings_among_them_are() -> None:
    tree = ast.parse(
        'KEYS = {"call": ("action",)}\nwarnings = ("a",) if odd else ()\nf(warnings=(*warnings, "b"), keys=("text",))\n'
        'raise ClientError("c", "x")\nself._warn("d")\n'
    )
    assert sorted(codes_in(tree, is_grammar=True)) == ["a", "b", "c", "d"]


def test_every_code_in_the_source_is_explained() -> None:
    found = {
        code: path.relative_to(ROOT).as_posix()
        for path in sources()
        for code in codes_in(
            ast.parse(path.read_text(encoding="utf-8")), is_grammar=not GRAMMARS.isdisjoint(path.parts)
        )
        if re.fullmatch(r"[a-z][a-z0-9_]+", code)
    }
    assert len(found) > 40
    assert {"truncated", "unknown_part", "usage_beyond_total", "usage_chunk_kept"} <= found.keys()
    assert {code: where for code, where in found.items() if code not in EXPLAINED | INTERNAL} == {}


def test_nothing_is_explained_that_no_source_says() -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for folder, pattern in (("extproc", "*.py"), ("capture", "*.py"), ("policies", "*.rego"))
        for path in (ROOT / folder).rglob(pattern)
    )
    assert {code for code in EXPLAINED if f'"{code.partition("<")[0]}' not in text} == set()


def test_every_problem_of_the_strict_reading_is_explained() -> None:
    assert {code for _, code, _ in strict_json._MEANINGS} <= TABLE["problem"]


def test_every_way_in_which_policy_fails_is_explained() -> None:
    assert TABLE["policy_failure"] == set(FAILURES)


def test_every_refusal_by_envoy_is_explained() -> None:
    assert {error.code for error in local_errors(1)} == TABLE["envoy"] | {"unknown_route"}


@pytest.mark.parametrize(
    ("group", "columns"),
    [
        ("capture_status", ("capture_status",)),
        ("content_state", ("request_content_state", "response_content_state")),
        ("answered_by", ("answered_by",)),
        ("usage_source", ("usage_source",)),
        ("principal_source", ("principal_source",)),
    ],
)
def test_the_codes_of_a_column_are_those_that_the_column_names(group: str, columns: tuple[str, ...]) -> None:
    described = {column.name: column.description for section in SECTIONS[Tree.FACTS] for column in section.columns}
    lists = [described[name].partition(";")[0].partition(" is: ")[2] or described[name] for name in columns]
    named = {code for text in lists for code in re.findall(r"`(\w+)`", text)}
    assert TABLE[group] == named


def test_the_codes_of_enumerations_are_all_there() -> None:
    assert TABLE["usage_source"] == set(UsageSource)
    assert TABLE["principal_source"] == set(PrincipalSource)
