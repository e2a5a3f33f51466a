"""What the recorded traffic cost, against a second calculation that shares nothing with ours.

The figures are looked up in the raw bytes by name; the rules are those that each provider publishes (what the input
includes, what cached tokens cost, that reasoning is output); the prices are written here, in US dollars per million
tokens, from the providers' price pages. For models younger than these pages (`LISTED`) the prices are those of the
price list, and only the rules are checked.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from extproc.pricing import price
from extproc.provider_names import provider_of
from tests.codecs.support import Recording, corpus_recordings

AT_NS = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens."""

    input: str
    output: str = "0"
    cache_read: str | None = None
    cache_write: str | None = None
    cache_write_1h: str | None = None
    above: tuple[int, Prices] | None = None
    """(input tokens in all, the prices of a request with more than these)."""


def _claude(base: str, output: str) -> Prices:
    """Anthropic: a cache read costs a tenth of the input, a five-minute write 1.25 times, an hour's write twice."""
    price_of = Decimal(base)
    return Prices(base, output, str(price_of / 10), str(price_of * Decimal("1.25")), str(price_of * 2))


PRICES: dict[tuple[str, str], Prices] = {
    ("openai", "babbage-002"): Prices("0.40", "0.40"),
    ("openai", "davinci-002"): Prices("2", "2"),
    ("openai", "davinci:2020-05-03"): Prices("20", "20"),
    ("openai", "gpt-3.5-turbo-0125"): Prices("0.50", "1.50"),
    ("openai", "gpt-3.5-turbo-0613"): Prices("1.50", "2"),
    ("openai", "gpt-3.5-turbo-instruct"): Prices("1.50", "2"),
    ("openai", "gpt-3.5-turbo-instruct:20230824-v2"): Prices("1.50", "2"),
    ("openai", "gpt-4-0613"): Prices("30", "60"),
    ("openai", "gpt-4.1-2025-04-14"): Prices("2", "8", "0.50"),
    ("openai", "gpt-4.1-mini-2025-04-14"): Prices("0.40", "1.60", "0.10"),
    ("openai", "gpt-4.1-nano-2025-04-14"): Prices("0.10", "0.40", "0.025"),
    ("openai", "gpt-4o-2024-05-13"): Prices("5", "15"),
    ("openai", "gpt-4o-2024-08-06"): Prices("2.50", "10", "1.25"),
    ("openai", "gpt-4o-mini-2024-07-18"): Prices("0.15", "0.60", "0.075"),
    ("openai", "gpt-4o-mini-search-preview-2025-03-11"): Prices("0.15", "0.60", "0.075"),
    ("openai", "gpt-5-2025-08-07"): Prices("1.25", "10", "0.125"),
    ("openai", "gpt-5-mini-2025-08-07"): Prices("0.25", "2", "0.025"),
    ("openai", "gpt-5-nano-2025-08-07"): Prices("0.05", "0.40", "0.005"),
    ("openai", "gpt-5.2-2025-12-11"): Prices("1.75", "14", "0.175"),
    ("openai", "o1-mini-2024-09-12"): Prices("1.10", "4.40", "0.55"),
    ("openai", "o4-mini-2025-04-16"): Prices("1.10", "4.40", "0.275"),
    ("openai", "text-embedding-3-small"): Prices("0.02"),
    ("azure.ai.openai", "gpt-35-turbo"): Prices("0.50", "1.50"),
    ("azure.ai.openai", "gpt-4.1-mini-2025-04-14"): Prices("0.40", "1.60", "0.10"),
    ("azure.ai.openai", "gpt-5-nano-2025-08-07"): Prices("0.05", "0.40", "0.005"),
    ("anthropic", "claude-3-5-haiku-20241022"): _claude("0.80", "4"),
    ("anthropic", "claude-3-5-haiku-latest"): _claude("0.80", "4"),
    ("anthropic", "claude-3-5-sonnet-20240620"): _claude("3", "15"),
    ("anthropic", "claude-3-7-sonnet-20250219"): _claude("3", "15"),
    # Haiku 3 is the one whose cache prices are rounded: 0.30 and 0.03.
    ("anthropic", "claude-3-haiku-20240307"): Prices("0.25", "1.25", "0.03", "0.30", "0.50"),
    ("anthropic", "claude-haiku-4-5-20251001"): _claude("1", "5"),
    ("anthropic", "claude-opus-4-1-20250805"): _claude("15", "75"),
    ("anthropic", "claude-opus-4-6"): _claude("5", "25"),
    ("anthropic", "claude-sonnet-4-20250514"): _claude("3", "15"),
    ("anthropic", "claude-sonnet-4-5-20250929"): replace(_claude("3", "15"), above=(200_000, _claude("6", "22.50"))),
    ("anthropic", "claude-sonnet-4-6"): _claude("3", "15"),
    ("gcp.gemini", "gemini-1.5-flash"): Prices("0.075", "0.30", "0.01875"),
    ("gcp.gemini", "gemini-2.0-flash"): Prices("0.10", "0.40", "0.025"),
    ("gcp.gemini", "gemini-2.5-flash"): Prices("0.30", "2.50", "0.03"),
    ("gcp.gemini", "gemini-2.5-pro"): Prices("1.25", "10", "0.125"),
    ("gcp.gemini", "gemini-3-flash-preview"): Prices("0.50", "3", "0.05"),
    ("gcp.gemini", "gemini-3-pro-preview"): Prices("2", "12", "0.20"),
    ("gcp.gemini", "gemini-embedding-001"): Prices("0.15"),
    ("gcp.vertex_ai", "gemini-2.5-flash"): Prices("0.30", "2.50", "0.03"),
    ("gcp.vertex_ai", "gemini-2.5-pro"): Prices("1.25", "10", "0.125"),
    ("gcp.vertex_ai", "gemini-3-flash-preview"): Prices("0.50", "3", "0.05"),
    ("aws.bedrock", "amazon.nova-lite-v1:0"): Prices("0.06", "0.24", "0.015"),
    ("aws.bedrock", "us.amazon.nova-lite-v1:0"): Prices("0.06", "0.24", "0.015"),
    ("aws.bedrock", "amazon.nova-micro-v1:0"): Prices("0.035", "0.14", "0.00875"),
    ("aws.bedrock", "us.amazon.nova-micro-v1:0"): Prices("0.035", "0.14", "0.00875"),
    ("aws.bedrock", "amazon.titan-text-express-v1"): Prices("0.20", "0.60"),
    ("aws.bedrock", "amazon.titan-text-lite-v1"): Prices("0.15", "0.20"),
    ("aws.bedrock", "meta.llama3-2-1b-instruct-v1:0"): Prices("0.10", "0.10"),
    ("aws.bedrock", "meta.llama3-70b-instruct-v1:0"): Prices("2.65", "3.50"),
    ("aws.bedrock", "openai.gpt-oss-120b-1:0"): Prices("0.15", "0.60"),
    ("aws.bedrock", "anthropic.claude-3-sonnet-20240229-v1:0"): _claude("3", "15"),
    ("aws.bedrock", "anthropic.claude-3-5-haiku-20241022-v1:0"): _claude("0.80", "4"),
    ("aws.bedrock", "us.anthropic.claude-3-5-sonnet-20240620-v1:0"): _claude("3", "15"),
    ("aws.bedrock", "us.anthropic.claude-3-7-sonnet-20250219-v1:0"): _claude("3", "15"),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0"): _claude("3", "15"),
    # Regional endpoints cost a tenth more from Claude 4.5 on.
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"): _claude("3.30", "16.50"),
    ("aws.bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"): _claude("1.10", "5.50"),
    ("cohere", "command"): Prices("1", "2"),
    ("cohere", "command-a-03-2025"): Prices("2.50", "10"),
    ("cohere", "command-r"): Prices("0.15", "0.60"),
    ("cohere", "command-r-08-2024"): Prices("0.15", "0.60"),
    ("cohere", "command-r-plus"): Prices("2.50", "10"),
    ("cohere", "command-r7b-12-2024"): Prices("0.0375", "0.15"),
    ("cohere", "embed-v4.0"): Prices("0.12"),
    ("groq", "llama3-8b-8192"): Prices("0.05", "0.08"),
    ("groq", "deepseek-r1-distill-llama-70b"): Prices("0.75", "0.99"),
    ("groq", "openai/gpt-oss-120b"): Prices("0.15", "0.60", "0.075"),
    ("mistral_ai", "mistral-tiny"): Prices("0.25", "0.25"),
    ("mistral_ai", "magistral-medium-latest"): Prices("2", "5"),
    ("mistral_ai", "mistral-embed"): Prices("0.10", "0.10"),
    ("z_ai", "glm-4.7"): Prices("0.60", "2.20", "0.11"),
    ("z_ai", "glm-4.6v"): Prices("0.30", "0.90", "0.05"),
    ("voyage", "voyage-3-lite"): Prices("0.02"),
}

LISTED = {
    ("anthropic", "claude-sonnet-5"),
    ("aws.bedrock", "openai.gpt-5.5"),
    ("aws.bedrock", "openai.gpt-5.6-luna"),
    ("aws.bedrock", "us.amazon.nova-2-lite-v1:0"),
    ("azure.ai.openai", "gpt-5.4"),
    ("deepseek", "deepseek-chat"),
    ("deepseek", "deepseek-reasoner"),
    ("deepseek", "deepseek-v4-flash"),
    ("gcp.gemini", "gemini-2.0-flash-exp"),
    ("gcp.gemini", "gemini-2.5-pro-preview-05-06"),
    ("gcp.gemini", "gemini-3.6-flash"),
    ("gcp.vertex_ai", "gemini-embedding-2"),
    ("mistral_ai", "mistral-medium-latest"),
    ("openai", "gpt-5.5-2026-04-23"),
    ("openai", "gpt-5.6-sol"),
    ("openrouter", "anthropic/claude-4.6-sonnet-20260217"),
    ("openrouter", "anthropic/claude-sonnet-4.5"),
    ("openrouter", "deepseek/deepseek-chat"),
    ("openrouter", "openai/gpt-4.1-mini"),
    ("openrouter", "openai/gpt-5.1-codex-mini"),
    ("openrouter", "openai/gpt-5.6-sol"),
    ("openrouter", "openai/gpt-oss-20b"),
    ("together_ai", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
}


@dataclass
class Figures:
    """Tokens, each counted in one place only."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    searches: int = 0


# ── looking the figures up ───────────────────────────────────────────────────────────────────────────────────────────


def _documents(body: bytes) -> Iterator[Any]:
    """Every JSON text of a body, however it is framed, by the most naive means there are."""
    if (
        body[:2] == b"\0\0"
    ):  # AWS eventstream: 4 bytes of length, 4 of the headers' length, 4 of CRC; 4 of CRC at the end
        while body:
            size, headers = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
            document = json.loads(body[12 + headers : size - 4])
            yield json.loads(base64.b64decode(document["bytes"])) if "bytes" in document else document
            body = body[size:]
        return
    try:
        whole = json.loads(body)
    except ValueError:
        for line in re.split(rb"\r\n|\n|\r", body):
            text = line.removeprefix(b"data:").strip()
            if text.startswith(b"{"):
                yield json.loads(text)
        return
    yield from whole if isinstance(whole, list) else [whole]


def _named(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """Every object that stands under this name, in order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name and isinstance(inner, dict):
                yield inner
            yield from _named(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner, name)


def _all(body: bytes, name: str) -> list[dict[str, Any]]:
    return [found for document in _documents(body) for found in _named(document, name)]


def _openai(body: bytes) -> Figures | None:
    """Prompt tokens include cached ones, completion tokens include reasoning."""
    last = next((u for u in reversed(_all(body, "usage")) if u.get("prompt_tokens") is not None), None)
    if last is None:
        last = next((u for u in reversed(_all(body, "usage")) if u.get("total_tokens")), None)
        return Figures(input=last["total_tokens"]) if last and set(last) == {"total_tokens"} else None
    details = last.get("prompt_tokens_details") or {}
    cached = next(
        (
            int(count)
            for count in (
                details.get("cached_tokens"),
                last.get("prompt_cache_hit_tokens"),  # DeepSeek
                last.get("num_cached_tokens"),  # Mistral
            )
            if count
        ),
        0,
    )
    written = details.get("cache_write_tokens") or 0  # OpenRouter
    said = last.get("completion_tokens") or 0
    hidden = max(0, (last.get("total_tokens") or 0) - last["prompt_tokens"] - said)  # reasoning left out (Gemini, xAI)
    return Figures(last["prompt_tokens"] - cached - written, cached, written, output=said + hidden)


def _responses(body: bytes) -> Figures | None:
    last = next((u for u in reversed(_all(body, "usage")) if u.get("input_tokens") is not None), None)
    if last is None:
        return None
    details = last.get("input_tokens_details") or {}
    read, written = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    return Figures(last["input_tokens"] - read - written, read, written, output=last["output_tokens"])


def _claude_usage(body: bytes) -> Figures | None:
    """Later figures replace earlier ones; input excludes what was read from or written to the cache."""
    merged: dict[str, Any] = {}
    for usage in _all(body, "usage"):
        merged |= {key: value for key, value in usage.items() if value is not None}
    if "input_tokens" not in merged:
        return None
    an_hour = (merged.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    return Figures(
        input=merged["input_tokens"],
        cache_read=merged.get("cache_read_input_tokens", 0),
        cache_write=merged.get("cache_creation_input_tokens", 0) - an_hour,
        cache_write_1h=an_hour,
        output=merged["output_tokens"],
        searches=(merged.get("server_tool_use") or {}).get("web_search_requests") or 0,
    )


def _gemini(body: bytes) -> Figures | None:
    """The prompt includes cached tokens, not the tools' results; candidates exclude thoughts; all of it is billed."""
    found = _all(body, "usageMetadata")
    if not found or "promptTokenCount" not in found[-1]:
        return None
    last = found[-1]
    cached = last.get("cachedContentTokenCount", 0)
    asked = last["promptTokenCount"] + last.get("toolUsePromptTokenCount", 0)
    return Figures(
        asked - cached, cached, output=last.get("candidatesTokenCount", 0) + last.get("thoughtsTokenCount", 0)
    )


def _bedrock(body: bytes) -> Figures | None:
    """Converse counts cached tokens apart; InvokeModel says what the vendor says, or its own metrics."""
    converse = [usage for usage in _all(body, "usage") if "inputTokens" in usage]
    if converse:
        last = converse[-1]
        read, written = last.get("cacheReadInputTokens", 0), last.get("cacheWriteInputTokens", 0)
        return Figures(last["inputTokens"], read, written, output=last["outputTokens"])
    if (claude := _claude_usage(body)) is not None:
        return claude
    metrics = _all(body, "amazon-bedrock-invocationMetrics")
    if metrics:
        return Figures(metrics[-1]["inputTokenCount"], output=metrics[-1]["outputTokenCount"])
    (document, *_) = list(_documents(body))
    if "prompt_token_count" in document:
        return Figures(document["prompt_token_count"], output=document["generation_token_count"])
    if "inputTextTokenCount" in document:
        said = sum(result["tokenCount"] for result in document.get("results", [])) or document.get(
            "totalOutputTextTokenCount", 0
        )
        return Figures(int(document["inputTextTokenCount"]), output=int(said))
    return None


def _cohere(body: bytes) -> Figures | None:
    found = _all(body, "billed_units")
    if not found or "input_tokens" not in found[-1]:
        return None
    return Figures(int(found[-1]["input_tokens"]), output=int(found[-1].get("output_tokens", 0)))


_READERS = {
    "openai.chat": _openai,
    "openai.completions": _openai,
    "openai.embeddings": _openai,
    "openai.responses": _responses,
    "anthropic.messages": _claude_usage,
    "gemini.generate_content": _gemini,
    "gemini.embed_content": _gemini,
    "bedrock.converse": _bedrock,
    "bedrock.invoke_model": _bedrock,
    "cohere.v1.chat": _cohere,
    "cohere.v1.generate": _cohere,
    "cohere.v1.embed": _cohere,
    "cohere.v2.chat": _cohere,
    "cohere.v2.embed": _cohere,
}


# ── the test ─────────────────────────────────────────────────────────────────────────────────────────────────────────

NO_JSON = "bedrock-converse-n-200-pydantic-ai-ca754a02"
"""Its recorded request is none."""
RECORDINGS = [r for r in corpus_recordings() if r.status == 200 and r.folder.name != NO_JSON]
NO_CORPUS = "HEADGATE_CORPUS does not name a corpus with exchanges/"


def _models(recording: Recording) -> tuple[str, str | None, str | None]:
    """(provider, model asked for, model that answered)."""
    facts = recording.response_facts(recording.response_body)
    provider = provider_of(recording.call, recording.codec.api) or ""
    return provider, recording.request_facts.model, facts.model


def _listed(provider: str, model: str) -> Prices:
    """The price list's own figures, without its arithmetic."""
    from extproc.pricing import _PROVIDERS, _find

    found = _find(_PROVIDERS[provider], model)
    assert found is not None, (provider, model)
    prices = found[1].get_prices(datetime.fromtimestamp(AT_NS // 10**9, UTC))

    def base(value: Any) -> str | None:
        return None if value is None else str(getattr(value, "base", value))  # no recording here reaches a higher tier

    return Prices(
        base(prices.input_mtok) or "0",
        base(prices.output_mtok) or "0",
        base(prices.cache_read_mtok),
        base(prices.cache_write_mtok),
        base(prices.cache_write_1h_mtok),
    )


def _bill(figures: Figures, prices: Prices) -> Decimal:
    asked = figures.input + figures.cache_read + figures.cache_write + figures.cache_write_1h
    if prices.above is not None and asked > prices.above[0]:
        prices = prices.above[1]
    full = Decimal(prices.input)
    sums = (
        figures.input * full
        + figures.cache_read * (full if prices.cache_read is None else Decimal(prices.cache_read))
        + figures.cache_write * (full if prices.cache_write is None else Decimal(prices.cache_write))
        + figures.cache_write_1h * (full if prices.cache_write_1h is None else Decimal(prices.cache_write_1h))
        + figures.output * Decimal(prices.output)
    )
    return sums / MILLION + figures.searches * Decimal("0.01")


def test_the_corpus_holds_enough_that_has_a_price() -> None:
    if not RECORDINGS:
        pytest.skip(NO_CORPUS)
    billed = Counter(provider for recording in RECORDINGS if (provider := _priced(recording)))
    assert sum(billed.values()) >= 130, billed
    assert {"openai", "anthropic", "aws.bedrock", "gcp.gemini", "gcp.vertex_ai", "cohere", "groq", "deepseek"} <= set(
        billed
    )


def _priced(recording: Recording) -> str | None:
    provider, asked, said = _models(recording)
    facts = recording.response_facts(recording.response_body)
    cost = price(provider, said, facts.usage, AT_NS, facts.service_tier, asked_model=asked)
    return provider if cost.amount is not None and facts.usage.source == "provider" else None


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.folder.name)
def test_what_an_exchange_cost_is_what_the_providers_rules_make_it(recording: Recording) -> None:
    provider, asked, said = _models(recording)
    facts = recording.response_facts(recording.response_body)
    cost = price(provider, said, facts.usage, AT_NS, facts.service_tier, asked_model=asked)
    if facts.usage.source != "provider":
        return  # an estimate: nothing to compare it with
    billed_as = (asked if provider == "aws.bedrock" and asked else said or asked) or ""
    key = (provider, billed_as)
    if cost.amount is None:
        assert key not in LISTED or cost.unknown_reason == "unknown_tier"
        assert key not in PRICES or cost.unknown_reason in ("no_usage", "unknown_tier", "unknown_price")
        return
    figures = _READERS[recording.codec.api](recording.response_body)
    assert figures is not None, key
    prices = PRICES[key] if key in PRICES else _listed(*key)
    assert key in PRICES or key in LISTED, key
    assert cost.amount == _bill(figures, prices), key
