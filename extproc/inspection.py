"""One request body read for the decision, and rewritten after it. Pure functions of bytes; see decision record 001.

    bytes ─► content coding off ─► one strict reading ─► the api's facts ─► every string past the detectors

Whatever the api, every string is scanned (`findings.py`): text must not pass because it stands in an unusual place.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from extproc.codec import Codec
from extproc.codecs import recognised
from extproc.errors import ClientError, HeadgateError, LimitExceeded
from extproc.findings import BUDGET_BYTES, Findings, Scanner
from extproc.framing import multipart, strict_json
from extproc.framing.content_encoding import decoder
from extproc.framing.json_strings import KEY_MARK, escape, replace_strings, text_at, value_at
from extproc.media import media_type_or_none
from extproc.model import Call, Finding, Inspection, Limits, Problem, RequestFacts, UninspectedPart
from extproc.places import places
from extproc.redaction import FreshNames, redact_text
from extproc.storable import WITHHELD_NAME, is_name

REWRITE_DEPTH_MAX = 1_000
"""Deeper than any configured `json_depth_max`: what was inspected can be parsed again."""

_FORM = "multipart/form-data"
OVERLONG_NAME = "(overlong)"
_TOOLS = ("/tools/", "/functions/")
_NAMES = ("/name", "/type")


def inspect_request(
    codec: Codec,
    call: Call,
    body: bytes,
    *,
    scanner: Scanner,
    limits: Limits,
    budget: Callable[[], None],
) -> Inspection:
    """Facts, findings, and the problem when the body cannot be judged as it came. Never raises for any `body`.

    A model's name that is too long, or in which something was found, is left out of the facts, a tool's is replaced:
    names go to policy, into messages and to readers who may not read text.

    A body of the api `opaque` may turn out to be one of ours: then `Inspection.api` names it, and the facts are its.

    `budget` raises `LimitExceeded` when the CPU allowance is spent: the problem is then `inspect_budget`. A body of the
    api `opaque` has no form to be wrong, so it is no problem when nobody can read it: it is one uninspected part.
    What is found in a `multipart/form-data` body cannot be replaced: the inspection then `hides_findings`.
    """
    read = _Reading()
    found = Findings(scanner, limits.findings_max, budget)
    try:
        read.read(codec, call, body, limits, budget)
        if read.has_document:
            found.scan_document(read.document, read.facts.uninspected_parts)
        elif read.text is not None:
            found.scan_raw(read.text)
        if read.is_form:
            read.hides = bool(found.kept)  # a form is not rewritten
        elif not read.has_document and read.plain is not None:
            read.hides = found.hides(read.plain, is_text=read.text is not None)
    except LimitExceeded as error:
        read.problem = read.problem or Problem("inspect_budget", error.message, 413)
        found.truncated = True
    if body and codec.api == "opaque" and not read.has_document and read.text is None:
        part = UninspectedPart(
            "unknown", "", media_type_or_none((call.content_type or "").partition(";")[0]), len(body)
        )
        read.facts = RequestFacts(uninspected_parts=(part,))
    return Inspection(
        facts=_without_hits(_storable_names(read.facts, found.kept), found),
        findings=tuple(found.kept),
        findings_truncated=found.truncated,
        problem=read.problem,
        decoded_body=read.plain if read.plain is not body else None,
        api=read.api,
        hides_findings=read.hides,
        places=places(read.document, (finding.field for finding in found.kept)) if read.has_document else {},
    )


def rewrite_request(
    body: bytes, findings: Sequence[Finding], entities: Iterable[str], key: bytes | None = None
) -> bytes:
    """`body` with the findings of these entities replaced by placeholders, every other byte as it was.

    `body` is what `inspect_request` gave the findings for, content coding off. `key` as `redact_text`.
    Raises `HeadgateError` (`rewrite_failed`) when the findings do not fit it: then it must not be forwarded.
    """
    wanted = frozenset(entities)
    by_field: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.entity in wanted:
            by_field[finding.field].append(finding)
    if not by_field:
        return body
    try:
        document = _document_of(body, by_field)
        if document is None:
            return redact_text(body, by_field[""], key)
        numbers = any(not where.endswith(KEY_MARK) and type(value_at(document, where)) is not str for where in by_field)
        rewritten = replace_strings(body, _edits(document, by_field, key), numbers=numbers)
        strict_json.parse(rewritten, depth_max=REWRITE_DEPTH_MAX)
    except (ClientError, LookupError, UnicodeDecodeError):
        raise HeadgateError("rewrite_failed", "a redaction did not fit the body it was made for") from None
    return rewritten


class _Reading:
    """What one body turned out to be, as far as it could be read."""

    def __init__(self) -> None:
        self.plain: bytes | None = None
        """Without content coding; None when that could not be taken off."""
        self.text: bytes | None = None
        """`plain`, when it is UTF-8 but neither JSON nor a form of one reading."""
        self.has_document = False
        self.is_form = False
        self.document: Any = None
        self.facts = RequestFacts()
        self.api: str | None = None
        """The api that only the body told."""
        self.problem: Problem | None = None
        self.hides = False
        """Something is in `plain` that has no place which could be redacted."""

    def read(
        self,
        codec: Codec,
        call: Call,
        body: bytes,
        limits: Limits,
        budget: Callable[[], None],
    ) -> None:
        """Raises `LimitExceeded` when the budget is spent."""
        refuse = self._ignore if codec.api == "opaque" else self._refuse
        try:
            self.plain = _decoded(body, call.content_encoding, limits, budget)
        except ClientError as error:
            refuse(error)
            return
        try:
            self._parse(codec, call, self.plain, limits.json_depth_max, refuse)
            budget()
            self.facts = codec.request(self.document, call)
        except ClientError as error:
            refuse(error)
        if self.is_form:
            self._report_files()
        if self.has_document and codec.api == "opaque":
            self._recognise(call)
        if not self.has_document and _is_utf8(self.plain):
            self.text = self.plain

    def _parse(
        self, codec: Codec, call: Call, plain: bytes, depth_max: int, refuse: Callable[[ClientError], None]
    ) -> None:
        """Raises `ClientError` for a body with no reading, or with two."""
        content_type = call.content_type or ""
        if codec.takes_forms and content_type.strip().lower().startswith(_FORM):
            self.document = multipart.parse(plain, content_type)
            self.has_document = self.is_form = True
            return
        try:
            _refuse_other_types(content_type)
        except ClientError as error:
            refuse(error)
        self.document = strict_json.parse(plain, depth_max=depth_max)
        self.has_document = True

    def _report_files(self) -> None:
        """Files that no detector reads and that the codec has not reported are reported here."""
        reported = {part.field for part in self.facts.uninspected_parts}
        more = [part for part in _unread_files(self.document) if part.field not in reported]
        self.facts = replace(self.facts, uninspected_parts=(*self.facts.uninspected_parts, *more))

    def _recognise(self, call: Call) -> None:
        """A body that only looks like an api's is no better than any other that nobody reads: it stays opaque."""
        codec = recognised(self.document, call)
        if codec is None:
            return
        try:
            self.facts = codec.request(self.document, call)
        except ClientError:
            return
        self.api = codec.api

    def _refuse(self, error: ClientError) -> None:
        self.problem = self.problem or Problem(error.code, error.message, error.status)

    def _ignore(self, error: ClientError) -> None:
        """Opaque bodies need no form."""


def _decoded(body: bytes, content_encoding: str | None, limits: Limits, budget: Callable[[], None]) -> bytes:
    """The body without its content coding: the very same object when there is none."""
    if len(body) > limits.body_bytes_max:
        raise ClientError("body_too_large", f"the body is larger than {limits.body_bytes_max} bytes", 413)
    if (content_encoding or "identity").strip().lower() == "identity":
        return body
    coding = decoder(content_encoding, bytes_max=limits.body_bytes_max, ratio_max=limits.decoded_ratio_max)
    pieces = []
    for start in range(0, len(body), BUDGET_BYTES):
        budget()
        pieces.append(coding.decode(body[start : start + BUDGET_BYTES]))
    pieces.append(coding.flush())
    return b"".join(pieces)


def _unread_files(form: Mapping[str, Any]) -> Iterator[UninspectedPart]:
    """The files of a form (`multipart.parse`) but for those that are text."""
    for name, value in form.items():
        field = f"/{escape(name)}"
        listed = [(f"{field}/{index}", item) for index, item in enumerate(value)] if type(value) is list else []
        for where, item in listed or [(field, value)]:
            if type(item) is dict and "text" not in item:
                media_type = media_type_or_none(item.get("media_type") or "")
                yield UninspectedPart("file", where, media_type, item["size_bytes"])


def _refuse_other_types(content_type: str) -> None:
    """JSON by any of its names, in UTF-8, or nothing said: the body is read as JSON anyway."""
    if not content_type.strip():
        return
    essence, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    if essence == "application/json" or (re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+\+json", essence)):
        charsets = [
            value.strip().strip('"') for name, _, value in (p.partition("=") for p in parameters) if name == "charset"
        ]
        # A comma joins two headers, of which a server may go by either.
        if all(charset in ("utf-8", "utf8") for charset in charsets) and "," not in content_type:
            return
    raise ClientError("unsupported_content_type", "this API takes content-type: application/json in UTF-8", 415)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _storable_names(facts: RequestFacts, findings: Sequence[Finding]) -> RequestFacts:
    """Without what is no name: too long, or something was found in it."""
    fields = {finding.field for finding in findings}
    if facts.model is not None and ("/model" in fields or not is_name(facts.model)):
        facts = replace(facts, model=None)
    if any(field.startswith("/models/") for field in fields):
        facts = replace(facts, fallback_models=(WITHHELD_NAME,) * len(facts.fallback_models))
    facts = replace(
        facts,
        tools=_no_overlong(facts.tools),
        called_tools=_no_overlong(facts.called_tools),
        rpc_methods=_no_overlong(facts.rpc_methods),
    )
    if any(field.startswith(_TOOLS) and field.endswith(_NAMES) for field in fields):
        facts = replace(facts, tools=(WITHHELD_NAME,) * len(facts.tools))
    return facts


def _no_overlong(names: tuple[str, ...]) -> tuple[str, ...]:
    if all(map(is_name, names)):
        return names
    return tuple(name if is_name(name) else OVERLONG_NAME for name in names)


def _without_hits(facts: RequestFacts, found: Findings) -> RequestFacts:
    """Without the names and ids in which something is found, wherever in the body the api has them, and whatever of
    them its codec took for the name."""
    if not found.kept and not found.truncated:
        return facts

    def withheld(names: tuple[str, ...]) -> tuple[str, ...]:
        return (WITHHELD_NAME,) * len(names) if any(map(found.is_hit, names)) else names

    def left_out(name: str | None) -> str | None:
        return None if name is not None and found.is_hit(name) else name

    return replace(
        facts,
        model=left_out(facts.model),
        fallback_models=withheld(facts.fallback_models),
        tools=withheld(facts.tools),
        called_tools=withheld(facts.called_tools),
        rpc_methods=withheld(facts.rpc_methods),
        uninspected_parts=tuple(
            part if left_out(part.media_type) == part.media_type else replace(part, media_type=None)
            for part in facts.uninspected_parts
        ),
        previous_response_id=left_out(facts.previous_response_id),
        conversation_id=left_out(facts.conversation_id),
        parameters={
            name: value
            for name, value in facts.parameters.items()
            if not found.is_hit(name) and not (type(value) is str and found.is_hit(value))
        },
    )


def _document_of(body: bytes, by_field: Mapping[str, object]) -> Any:
    """The parsed body; None when the findings are of raw bytes, which is how a body is scanned that does not parse."""
    try:
        document = strict_json.parse(body, depth_max=REWRITE_DEPTH_MAX)
    except ClientError:
        if "" in by_field:
            return None
        raise
    return None if "" in by_field and type(document) is not str else document


def _edits(document: Any, by_field: Mapping[str, Sequence[Finding]], key: bytes | None) -> dict[str, str]:
    edits: dict[str, str] = {}
    names = FreshNames(document)
    for where, findings in by_field.items():
        text = redact_text(text_at(document, where).encode(), findings, key).decode("utf-8")
        edits[where] = names.fresh(where, text) if where.endswith(KEY_MARK) else text
    return edits
