"""Money: calculated here by hand from the providers' published prices per million tokens."""

from __future__ import annotations

import socket
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

import pytest

from extproc.model import Cost, Usage
from extproc.pricing import preload, price

AT_NS = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
MILLION = Decimal(1_000_000)


def amount(provider: str, model: str, usage: Usage) -> Decimal:
    cost = price(provider, model, usage, AT_NS)
    assert cost.unknown_reason is None
    assert cost.currency == "USD"
    assert cost.amount is not None
    return cost.amount


def test_gpt_4o_mini_costs_what_openai_publishes() -> None:
    # $0.15 input, $0.60 output per million
    expected = (1_234 * Decimal("0.15") + 567 * Decimal("0.60")) / MILLION
    assert amount("openai", "gpt-4o-mini", Usage(1_234, 567)) == expected == Decimal("0.0005253")


def test_cached_input_of_gpt_4o_costs_half_and_is_part_of_the_input() -> None:
    # $2.50 input, $1.25 cached input, $10 output per million
    usage = Usage(input_tokens=10_000, output_tokens=1_000, cache_read_input_tokens=4_000)
    expected = (6_000 * Decimal("2.50") + 4_000 * Decimal("1.25") + 1_000 * Decimal(10)) / MILLION
    assert amount("openai", "gpt-4o", usage) == expected == Decimal("0.03")


def test_claude_sonnet_4_5_prices_cache_reads_and_writes_apart() -> None:
    # $3 input, $0.30 cache read, $3.75 five-minute cache write, $15 output per million
    usage = Usage(
        input_tokens=50_000,  # as OTel counts: 5,000 + 40,000 + 5,000
        output_tokens=2_000,
        cache_read_input_tokens=40_000,
        cache_creation_input_tokens=5_000,
    )
    expected = (5_000 * Decimal(3) + 40_000 * Decimal("0.30") + 5_000 * Decimal("3.75") + 2_000 * Decimal(15)) / MILLION
    assert amount("anthropic", "claude-sonnet-4-5", usage) == expected == Decimal("0.07575")


def test_claude_haiku_4_5_costs_what_anthropic_publishes() -> None:
    # $1 input, $5 output per million
    assert amount("anthropic", "claude-haiku-4-5", Usage(1_000, 1_000)) == Decimal("0.006")


def test_reasoning_is_part_of_the_output_and_not_billed_twice() -> None:
    plain = amount("openai", "gpt-4o-mini", Usage(10, 100))
    assert amount("openai", "gpt-4o-mini", Usage(10, 100, reasoning_output_tokens=60)) == plain


@pytest.mark.parametrize(
    ("model", "dated"),
    [("gpt-4o-mini", "gpt-4o-mini-2024-07-18"), ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929")],
)
def test_the_dated_name_in_a_response_costs_the_same(model: str, dated: str) -> None:
    provider = "openai" if model.startswith("gpt") else "anthropic"
    assert amount(provider, dated, Usage(1_000, 10)) == amount(provider, model, Usage(1_000, 10))


def test_azure_serves_openai_models_at_a_price_of_its_own_list() -> None:
    assert amount("azure.ai.openai", "gpt-4o-mini", Usage(1_000_000, 0)) > 0


def test_embeddings_have_no_output_to_pay_for() -> None:
    # $0.02 per million
    assert amount("openai", "text-embedding-3-small", Usage(input_tokens=1_000_000)) == Decimal("0.02")


def test_no_tokens_cost_nothing_and_that_is_known() -> None:
    assert amount("openai", "gpt-4o-mini", Usage(0, 0)) == 0


@pytest.mark.parametrize(
    ("provider", "model", "usage", "reason"),
    [
        ("openai", "gpt-4o-mini", Usage(), "no_usage"),
        ("openai", "gpt-4o-mini", Usage(cache_read_input_tokens=5), "no_usage"),
        ("openai", "gpt-4o-mini", Usage(input_tokens=5), "incomplete_usage"),
        ("openai", "gpt-4o-mini", Usage(output_tokens=5), "incomplete_usage"),
        ("openai", "gpt-4o-mini", Usage(5, 5, cache_read_input_tokens=6), "invalid_usage"),
        ("openai", "gpt-4o-mini", Usage(-5, 5), "invalid_usage"),
        ("openai", "simulated-1", Usage(5, 5), "unknown_model"),
        ("openai", "gpt-4o-simulated", Usage(5, 5), "unknown_model"),
        ("openai", None, Usage(5, 5), "unknown_model"),
        ("openai", "", Usage(5, 5), "unknown_model"),
        ("openai", "gpt-4o-mini" + "x" * 9999, Usage(5, 5), "unknown_model"),
        ("openai", "claude-sonnet-4-5", Usage(5, 5), "unknown_model"),
        ("our.own.server", "gpt-4o-mini", Usage(5, 5), "unknown_provider"),
        ("openai-compatible", "gpt-4o-mini", Usage(5, 5), "unknown_provider"),
        ("cerebras", "qwen-3-coder-480b", Usage(5, 5), "unknown_price"),
    ],
)
def test_what_is_not_known_is_never_zero(provider: str, model: str | None, usage: Usage, reason: str) -> None:
    assert price(provider, model, usage, AT_NS) == Cost(amount=None, currency=None, unknown_reason=reason)


def test_the_price_version_names_the_data() -> None:
    expected = f"genai-prices {version('genai-prices')}"
    assert preload() == expected
    assert price("openai", "gpt-4o-mini", Usage(1, 1), AT_NS).price_version == expected


def test_the_price_is_the_one_of_the_day() -> None:
    # o3 went from $10 to $2 per million input tokens on 10 June 2025.
    before = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
    cost = price("openai", "o3", Usage(1_000_000, 0), before)
    assert cost.amount == Decimal(10)
    assert amount("openai", "o3", Usage(1_000_000, 0)) == Decimal(2)


def test_pricing_never_touches_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_keywords: object) -> None:
        raise AssertionError("pricing opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert amount("openai", "gpt-4o", Usage(7, 7)) > 0
    assert price("openai", "a-model-nobody-knows", Usage(7, 7), AT_NS).unknown_reason == "unknown_model"


def test_the_module_is_cheap_to_import_and_loads_its_data_when_asked() -> None:
    code = "import sys, extproc.pricing; print('genai_prices' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"


def test_a_cache_write_that_lives_an_hour_costs_twice_the_input() -> None:
    # claude-sonnet-4-5: $3 input, $3.75 five-minute write, $6 one-hour write, $15 output per million
    usage = Usage(
        input_tokens=10_000, output_tokens=0, cache_creation_input_tokens=9_000, cache_creation_1h_input_tokens=4_000
    )
    expected = (1_000 * Decimal(3) + 5_000 * Decimal("3.75") + 4_000 * Decimal(6)) / MILLION
    assert amount("anthropic", "claude-sonnet-4-5", usage) == expected == Decimal("0.04575")


def test_a_web_search_costs_a_cent() -> None:
    # $10 per 1,000 searches, beside the tokens
    usage = Usage(input_tokens=0, output_tokens=0, web_searches=3)
    assert amount("anthropic", "claude-sonnet-4-5", usage) == Decimal("0.03")


def test_audio_tokens_of_gpt_audio_are_priced_apart() -> None:
    # gpt-audio: $2.50 text in, $32 audio in, $10 text out, $64 audio out per million
    usage = Usage(input_tokens=100, output_tokens=200, input_audio_tokens=60, output_audio_tokens=150)
    expected = (40 * Decimal("2.50") + 60 * Decimal(32) + 50 * Decimal(10) + 150 * Decimal(64)) / MILLION
    assert amount("openai", "gpt-audio", usage) == expected == Decimal("0.01212")


def test_audio_of_a_model_whose_audio_price_nobody_lists_has_no_known_cost() -> None:
    usage = Usage(input_tokens=100, output_tokens=200, output_audio_tokens=150)
    assert price("openai", "gpt-4o-audio-preview", usage, AT_NS) == Cost(unknown_reason="unknown_price")


def test_what_cohere_bills_is_priced_not_what_it_counts() -> None:
    # command-r-08-2024: $0.15 in, $0.60 out per million
    usage = Usage(input_tokens=69, output_tokens=20, billed_input_tokens=7, billed_output_tokens=10)
    assert amount("cohere", "command-r-08-2024", usage) == (7 * Decimal("0.15") + 10 * Decimal("0.60")) / MILLION


@pytest.mark.parametrize("tier", ["batch", "flex", "priority", "scale", "PROVISIONED_THROUGHPUT"])
def test_a_tier_with_prices_of_its_own_has_no_known_cost(tier: str) -> None:
    assert price("openai", "gpt-4o", Usage(1, 1), AT_NS, tier) == Cost(unknown_reason="unknown_tier")


@pytest.mark.parametrize("tier", [None, "default", "standard", "on_demand", "ON_DEMAND"])
def test_the_usual_tier_costs_the_list_price(tier: str | None) -> None:
    assert price("openai", "gpt-4o", Usage(1, 1), AT_NS, tier).amount == Decimal("0.0000125")


def test_bedrock_bills_the_inference_profile_that_was_called() -> None:
    # Claude Haiku 4.5: $1 and $5 per million; a regional profile costs a tenth more
    asked, said = "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001"
    cost = price("aws.bedrock", said, Usage(1_000_000, 1_000_000), AT_NS, asked_model=asked)
    assert cost.amount == Decimal("6.60")


def test_elsewhere_the_model_that_answered_is_billed_and_one_that_nobody_knows_is_not_guessed() -> None:
    usage = Usage(1_000_000, 0)
    assert price("openai", "gpt-4o", usage, AT_NS, asked_model="gpt-4o-mini").amount == Decimal("2.5")
    assert price("openai", None, usage, AT_NS, asked_model="gpt-4o-mini").amount == Decimal("0.15")
    assert price("openai", "no-such-model", usage, AT_NS, asked_model="gpt-4o").unknown_reason == "unknown_model"
