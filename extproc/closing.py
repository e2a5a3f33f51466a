"""What an exchange learns about its own outcome on the way, and the frame that tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from capture.record import Closed
from extproc import frames
from extproc.events import StreamContext
from extproc.judgement import Judgement
from extproc.model import Inspection, RequestFacts, ResponseFacts, UsageSource
from extproc.opening import Price
from extproc.request import RequestTrack
from extproc.response import ResponseTrack
from extproc.storable import WITHHELD_NAME

_ERROR_TYPE_CHARS_MAX = 64


@dataclass(slots=True)
class Outcome:
    """Times are monotonic nanoseconds; `wall_offset_ns` makes Unix time of them."""

    started_ns: int
    wall_offset_ns: int
    answered_by: str | None = None
    attempts: int | None = None
    error_type: str | None = None
    completed_as: str = "completed"
    """`capture_status` of a response that ends regularly: `timed_out` when it is Envoy's answer to a time-out."""
    request_done_ns: int | None = None
    first_byte_ns: int | None = None
    ended_ns: int = 0
    saw_request_facts: bool = True
    """The response's decoder was made after the request had been read."""

    def note_answerer(self, headers: Mapping[str, str], context: StreamContext) -> None:
        """Who answers, from Envoy's `response.code_details` and `x-envoy-attempt-count`."""
        details = context.attributes.get("response.code_details")
        if details is not None:
            from_upstream = details == "via_upstream"
            self.answered_by = "upstream" if from_upstream else "envoy"
            if not from_upstream:
                self.error_type = details.partition("{")[0][:_ERROR_TYPE_CHARS_MAX]
                self.completed_as = "timed_out" if "timeout" in self.error_type else "completed"
        attempts = headers.get("x-envoy-attempt-count", "")
        if attempts.isascii() and attempts.isdigit():
            self.attempts = int(attempts)

    def closed_frame(
        self,
        status: str,
        facts: ResponseFacts,
        *,
        judgement: Judgement,
        request: RequestTrack,
        response: ResponseTrack,
        response_whole: bool,
        overhead_ns: int,
        price: Price,
    ) -> Closed:
        """The last frame: `status` is the `capture_status`, `facts` what the codec read from the response."""
        request_facts = judgement.inspection.facts
        if not _was_read(judgement, request):
            facts = _without_input_estimate(facts)
        elif not self.saw_request_facts:
            facts = _with_input_estimate(facts, request_facts)
        cost = price(
            judgement.route.provider,
            facts.model,
            facts.usage,
            self.started_ns + self.wall_offset_ns,
            facts.service_tier,
            asked_model=request_facts.model,
        )
        first, asked = self.first_byte_ns, self.request_done_ns or self.started_ns
        # A full disk took the decision and the body from the row: then it must say so.
        unrecorded = judgement.verdict is not None and not judgement.verdict.recorded
        dropped_bytes = request.total_bytes if request.problem is not None or unrecorded else 0
        return frames.closed(
            exchange_id=judgement.exchange_id,
            at_ns=self.ended_ns + self.wall_offset_ns,
            capture_status=status,
            answered_by=self.answered_by or ("upstream" if response.http_status else None),
            http_status=response.http_status,
            error_type=self.error_type,
            attempts=self.attempts,
            facts=_without_echoes(facts, judgement.inspection),
            cost=cost,
            keep_text=judgement.verdict is not None and judgement.verdict.keep_response,
            response_bytes=response.total_bytes,
            response_sha256=response.digest(whole=response_whole),
            response_content_state=response.content_state(whole=response_whole),
            duration_ns=self.ended_ns - self.started_ns,
            time_to_first_token_ns=first - asked if first is not None else None,
            gateway_overhead_ns=overhead_ns,
            warnings=tuple(
                dict.fromkeys((*(("request_unrecorded",) if unrecorded else ()), *response.warnings, *facts.warnings))
            ),
            dropped_bytes=response.dropped_bytes + dropped_bytes,
        )


def _without_echoes(facts: ResponseFacts, inspection: Inspection) -> ResponseFacts:
    """A provider says the request's names again: what was left out there is left out here."""
    if any(finding.field.endswith("/model") for finding in inspection.findings):
        facts = replace(facts, model=None, provider_usage=None)  # which may name the model once more
    if WITHHELD_NAME in inspection.facts.tools:
        facts = replace(facts, tool_calls=(WITHHELD_NAME,) * len(facts.tool_calls))
    return facts


def _was_read(judgement: Judgement, request: RequestTrack) -> bool:
    """What came of the request was understood, so that its text was counted. Else it passed (in shadow), or went away
    before it was whole."""
    if not request.total_bytes or judgement.inspection.facts.text_bytes:
        return True
    return judgement.inspected and judgement.inspection.problem is None


def _without_input_estimate(facts: ResponseFacts) -> ResponseFacts:
    """Of text that nobody counted there is no estimate: not known, rather than nothing."""
    usage = facts.usage
    estimated = usage.source in (UsageSource.ESTIMATED, UsageSource.PARTIAL) and facts.said.input_tokens is None
    return replace(facts, usage=replace(usage, input_tokens=None)) if estimated else facts


def _with_input_estimate(facts: ResponseFacts, request: RequestFacts) -> ResponseFacts:
    """An estimate made before the request had been read lacks its input side: one token per four bytes of text. None
    is another matter: input that cannot be estimated from text (speech)."""
    usage = facts.usage
    if usage.source not in (UsageSource.ESTIMATED, UsageSource.PARTIAL) or usage.input_tokens != 0:
        return facts
    return replace(facts, usage=replace(usage, input_tokens=-(-request.text_bytes // 4)))
