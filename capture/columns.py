"""Every column of the archive: name, tree, type and what it says, in one table.

The Parquet schemas are made from it, and so is `docs/columns.md` (`python -m capture.columns > docs/columns.md`).
A column is only ever added; `schema_version` in each row says which code wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pyarrow as pa

MONEY = pa.decimal128(20, 10)
_TEXT = pa.string()
_TEXTS = pa.list_(pa.string())
_COUNT = pa.int64()
_SECONDS = pa.float64()
_TIME = pa.timestamp("us", tz="UTC")

_REASON = pa.struct([("rule", _TEXT), ("message", _TEXT), ("action", _TEXT), ("enforced", pa.bool_())])
_FINDING = pa.struct(
    [
        ("type", _TEXT),
        ("data_class", _TEXT),
        ("field", _TEXT),
        ("start", _COUNT),
        ("end", _COUNT),
        ("score", pa.float64()),
        ("action", _TEXT),
    ]
)
_UNINSPECTED = pa.struct([("kind", _TEXT), ("field", _TEXT), ("media_type", _TEXT), ("size_bytes", _COUNT)])
_PART = pa.struct(
    [
        ("type", _TEXT),
        ("text", _TEXT),
        ("tool_call_id", _TEXT),
        ("tool_name", _TEXT),
        ("arguments", _TEXT),
        ("media_type", _TEXT),
    ]
)
_MESSAGE = pa.struct([("role", _TEXT), ("parts", pa.list_(_PART))])
_TOOL_CALL = pa.struct([("id", _TEXT), ("name", _TEXT), ("arguments", _TEXT)])


class Tree(StrEnum):
    """The two Parquet trees: a folder's permission is the access rule, so no text of anybody's goes to `facts`."""

    FACTS = "facts"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: pa.DataType
    description: str


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    columns: tuple[Column, ...]


FACTS: Final = (
    Section(
        "Identity",
        (
            Column("exchange_id", _TEXT, "UUIDv7 made by Headgate; the response header `x-headgate-exchange-id`."),
            Column("envoy_request_id", _TEXT, "Envoy's own request id, as in its access log."),
            Column("ts", _TIME, "When the request headers came. `dt`, the partition, is its UTC date."),
            Column("hour", pa.int32(), "UTC hour of `ts`, 0 to 23."),
            Column("replica_id", _TEXT, "Which replica of the sidecar."),
            Column("incarnation", _TEXT, "UUIDv7 of the sidecar process."),
            Column("seq", _COUNT, "1, 2, 3, … per incarnation, gapless: a gap is a lost row."),
            Column("schema_version", pa.int32(), "Version of the frames that this row was made from."),
            Column("trace_id", _TEXT, "W3C trace id of the request, 32 hexadecimal digits."),
            Column("span_id", _TEXT, "W3C parent span id, 16 hexadecimal digits."),
        ),
    ),
    Section(
        "Who",
        (
            Column("team", _TEXT, "Team of the proved caller; NULL is unattributed."),
            Column("project", _TEXT, "Project of the caller."),
            Column("cost_center", _TEXT, "Cost centre of the project, or of its team."),
            Column("environment", _TEXT, "Environment of the project, e.g. `production`."),
            Column("caller", _TEXT, "The caller's id in the teams file."),
            Column("user_id", _TEXT, "User behind the caller, where one is proved."),
            Column("workload", _TEXT, "Workload behind the caller, where one is proved."),
            Column(
                "principal_source",
                _TEXT,
                "How the caller was proved: `api_key`, `jwt`, `certificate`, `provider_key` or `none`.",
            ),
            Column(
                "key_fingerprint", _TEXT, "Keyed hash of the provider key that the client sent (passthrough routes)."
            ),
            Column(
                "session_id",
                _TEXT,
                "`exchange_id` of the first exchange of the conversation; NULL when no message is kept.",
            ),
            Column("turn", pa.int32(), "1 for the first exchange of the session; 2 for one that resends it; …"),
            Column("parent_exchange_id", _TEXT, "The exchange whose history this one resends."),
        ),
    ),
    Section(
        "Call",
        (
            Column("route", _TEXT, "Route of the configuration."),
            Column("mode", _TEXT, "`enforce` or `shadow`."),
            Column("credentials", _TEXT, "`inject` or `passthrough`."),
            Column("method", _TEXT, "HTTP method."),
            Column("path", _TEXT, "Path as the provider sees it, without query, at most 512 characters."),
            Column("host", _TEXT, "Host name of the destination."),
            Column("api", _TEXT, "Wire format: `openai.chat`, `anthropic.messages`, …, `opaque` (docs/apis.md)."),
            Column("gen_ai_operation_name", _TEXT, "OTel `gen_ai.operation.name`."),
            Column("gen_ai_provider_name", _TEXT, "OTel `gen_ai.provider.name`."),
            Column("gen_ai_request_model", _TEXT, "Model asked for: what policy authorised."),
            Column("gen_ai_response_model", _TEXT, "Model that answered: what is priced."),
            Column("gen_ai_response_id", _TEXT, "The provider's id of the response."),
            Column("gen_ai_response_finish_reasons", _TEXTS, "Why the model stopped, per choice."),
            Column("gen_ai_request_max_tokens", _COUNT, "Output limit asked for."),
            Column("gen_ai_request_temperature", pa.float64(), "Temperature asked for."),
            Column(
                "request_parameters",
                _TEXT,
                "What else steered the model: a JSON object of numbers, flags and enumerated words, named by the api.",
            ),
            Column("choices", _COUNT, "How many answers were asked for."),
            Column("stream", pa.bool_(), "A streamed response was asked for."),
            Column("message_count", _COUNT, "Messages in the request, resent history included."),
            Column("tools", _TEXTS, "Names of the tools offered to the model."),
            Column("tool_call_names", _TEXTS, "Names of the tools that the model called, one entry per call."),
            Column("called_tools", _TEXTS, "Tools that the request itself had executed (MCP `tools/call`)."),
            Column("rpc_methods", _TEXTS, "JSON-RPC methods of the request (MCP), one entry per message."),
            Column("gen_ai_conversation_id", _TEXT, "The conversation that the provider keeps, by the client's word."),
            Column("previous_response_id", _TEXT, "The provider's response that the request goes on from."),
            Column("service_tier", _TEXT, "The tier that served the call, in the provider's words."),
            Column("http_status", pa.int32(), "HTTP status that the client got."),
            Column("answered_by", _TEXT, "`upstream`, `envoy` (a local reply) or `headgate` (a denial)."),
            Column("error_type", _TEXT, "The provider's or our error type; its text is in the content tree."),
            Column("attempts", pa.int32(), "Upstream attempts, retries included; NULL when Envoy did not say."),
            Column(
                "capture_status",
                _TEXT,
                "How it ended: `completed`, `denied`, `client_aborted`, `upstream_aborted`, `timed_out`, `aborted` "
                "(by whom is unknown), `shutdown`, or `cut` (the sidecar died before the end).",
            ),
            Column("warnings", _TEXTS, "Stable codes of what was odd or is missing."),
        ),
    ),
    Section(
        "Tokens",
        (
            Column("gen_ai_usage_input_tokens", _COUNT, "Input tokens, cached ones included."),
            Column("gen_ai_usage_output_tokens", _COUNT, "Output tokens, reasoning included."),
            Column("gen_ai_usage_cache_read_input_tokens", _COUNT, "Input tokens read from the provider's cache."),
            Column("gen_ai_usage_cache_creation_input_tokens", _COUNT, "Input tokens written to the provider's cache."),
            Column("gen_ai_usage_reasoning_output_tokens", _COUNT, "Output tokens spent on reasoning."),
            Column(
                "usage_source",
                _TEXT,
                "`provider` (its final figures), `partial` (what is missing was estimated), `estimated` or `none`.",
            ),
            Column("provider_usage", _TEXT, "The provider's last usage object, verbatim JSON, without its free text."),
        ),
    ),
    Section(
        "Money",
        (
            Column("billed_cost", MONEY, "Cost of the exchange; NULL when unknown, never 0 instead."),
            Column("billing_currency", _TEXT, "ISO 4217 code of `billed_cost`."),
            Column("price_version", _TEXT, "Which price table was used."),
            Column("cost_unknown_reason", _TEXT, "Why `billed_cost` is NULL, e.g. `cut`."),
        ),
    ),
    Section(
        "Time and size",
        (
            Column("duration", _SECONDS, "Request headers to the end, seconds; NULL when the end was not seen."),
            Column("time_to_first_token", _SECONDS, "Whole request to the first response body byte, seconds."),
            Column("gateway_overhead", _SECONDS, "Time that Envoy waited for the sidecar, seconds."),
            Column("request_bytes", _COUNT, "Request body as it came, whatever is kept of it."),
            Column("response_bytes", _COUNT, "Response body as it came; for `cut` rows what was stored of it."),
            Column("dropped_bytes", _COUNT, "Content dropped at a limit."),
        ),
    ),
    Section(
        "Policy",
        (
            Column("decision", _TEXT, "What was done: `allow`, `redact` or `deny`; NULL when it ended before."),
            Column(
                "would_decision",
                _TEXT,
                "Shadow route: what an enforced one would have done. Enforced route: what would have been done if its "
                "rules in shadow had been binding; NULL where that is what was done.",
            ),
            Column("reasons", pa.list_(_REASON), "Every rule that fired, with its message."),
            Column("rules", _TEXTS, "Ids of the rules that fired."),
            Column("policy_revision", _TEXT, "Revision of the bundle that decided."),
            Column("policy_failure", _TEXT, "Why no policy answered, e.g. `opa_timeout`."),
            Column("problem", _TEXT, "Why the request could not be judged as it came, e.g. `duplicate_key`."),
            Column(
                "findings",
                pa.list_(_FINDING),
                "What the detectors found. `field` is a JSON Pointer in which names that are not the API's own read "
                "`*`; offsets are UTF-8 bytes of the decoded string there.",
            ),
            Column("findings_truncated", pa.bool_(), "There were more findings than are listed."),
            Column(
                "uninspected_parts", pa.list_(_UNINSPECTED), "Parts that the detectors cannot read: images, files, …"
            ),
            Column(
                "findings_irreplaceable",
                pa.bool_(),
                "Something was found where it cannot be replaced: what policy would redact is denied.",
            ),
            Column(
                "policy_input",
                _TEXT,
                "What policy was asked (docs/policy-input.md), canonical JSON without text of the prompt: what "
                "`headgate policy replay` asks again. NULL when it was over 64 KiB.",
            ),
            Column("capture_level", _TEXT, "How much text the decision let the archive keep."),
            Column("retention_class", _TEXT, "Which retention rule applies."),
            Column(
                "request_content_state",
                _TEXT,
                "What the request body in `content` is: `exact`, `redacted`, `encoded`, `none`, `policy`, `unjudged`, "
                "`over_limit`, `undecodable` or `partial`; NULL when the exchange ended before the decision.",
            ),
            Column(
                "response_content_state",
                _TEXT,
                "What the response body in `content` is: `exact`, `none`, `policy`, `unjudged`, `over_limit` or "
                "`partial`; NULL for `cut` rows of which nothing was stored.",
            ),
        ),
    ),
)

CONTENT: Final = (
    Section(
        "Content",
        (
            Column("exchange_id", _TEXT, "Joins the row to its facts."),
            Column(
                "request_body", pa.binary(), "Request body as `request_content_state` says, without content coding."
            ),
            Column("response_body", pa.binary(), "Response body, content coding removed where possible."),
            Column("request_content_type", _TEXT, "As the client sent it."),
            Column("request_content_encoding", _TEXT, "As the client sent it."),
            Column("response_content_type", _TEXT, "As the provider sent it."),
            Column("response_content_encoding", _TEXT, "The coding that `response_body` is still in; NULL: none."),
            Column(
                "request_hints",
                _TEXT,
                "Headers of a kept request that tell apis apart (`accept`, `anthropic-version`, …), a JSON object.",
            ),
            Column("request_sha256", pa.binary(), "SHA-256 of the request body as it came."),
            Column("response_sha256", pa.binary(), "SHA-256 of the response body as it came."),
            Column("system_text", _TEXT, "System prompt."),
            Column("prompt_text", _TEXT, "What this turn asked: text and tool results of the messages it added."),
            Column("response_text", _TEXT, "What the model answered."),
            Column("reasoning_text", _TEXT, "Reasoning, where the provider shows it."),
            Column("messages", pa.list_(_MESSAGE), "The messages that this turn added, and the response's."),
            Column("inherited_messages", _COUNT, "Messages of the request that came before them: the resent history."),
            Column("tool_calls", pa.list_(_TOOL_CALL), "Calls in the response, with arguments as the model gave them."),
            Column("error_message", _TEXT, "The provider's error text."),
            Column("finding_fields", _TEXTS, "Full JSON Pointers of `findings`, in the same order."),
            Column("text_truncated", pa.bool_(), "A derived column was cut at its limit; the bodies are whole."),
        ),
    ),
)

SECTIONS: Final = {Tree.FACTS: FACTS, Tree.CONTENT: CONTENT}


def schema(tree: Tree) -> pa.Schema:
    """The Parquet schema of a tree."""
    return pa.schema([(column.name, column.type) for section in SECTIONS[tree] for column in section.columns])


def render_columns_reference() -> str:
    """The column reference, in Markdown."""
    lines = [
        "# Columns of the archive",
        "",
        "Generated from `capture/columns.py` by `python -m capture.columns`; do not edit by hand.",
        "",
        "`facts/` says who, what, how much and what was decided; `content/` holds text and bodies. They are joined by",
        "`exchange_id`, are partitioned by `dt` (UTC date of `ts`), and the view `exchanges` is both.",
    ]
    for tree, sections in SECTIONS.items():
        lines += ["", f"## `{tree.value}`"]
        for section in sections:
            lines += ["", f"### {section.title}", "", "| column | type | meaning |", "|---|---|---|"]
            lines += [
                f"| `{column.name}` | {_type_name(column.type)} | {column.description} |" for column in section.columns
            ]
    return "\n".join(lines) + "\n"


def _type_name(kind: pa.DataType) -> str:
    """As DuckDB names the type."""
    if pa.types.is_list(kind):
        return f"{_type_name(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return "struct(" + ", ".join(kind.field(i).name for i in range(kind.num_fields)) + ")"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return _NAMES[str(kind)]


_NAMES = {
    "string": "varchar",
    "int64": "bigint",
    "int32": "integer",
    "double": "double",
    "bool": "boolean",
    "binary": "blob",
    "timestamp[us, tz=UTC]": "timestamptz",
}

if __name__ == "__main__":
    print(render_columns_reference(), end="")
