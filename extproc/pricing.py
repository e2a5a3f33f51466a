"""What one exchange cost: `genai-prices`, from the data inside its wheel, never from the network.

A price that is not known is `Cost(None, unknown_reason=…)`, never 0:

    no_usage          the response carried no tokens: an error, a cut stream without estimate, an opaque call
    incomplete_usage  one of input and output tokens is missing, so that any sum would be too small
    invalid_usage     the figures contradict each other (more cached tokens than input tokens, negative ones)
    unknown_provider  nobody publishes prices for the route's `provider.name`
    unknown_model     the provider has no such model in the data, or the response named none
    unknown_price     the model is known, but not what its input or output tokens cost

Prices are those of the day of the request. Usage is counted as OTel GenAI counts it, and so does genai-prices: input
includes what was read from and written to a cache, output includes reasoning. Not known to `Usage`, and so not in the
sum: cache writes that live an hour (priced as five-minute ones), batch and priority tiers, tools billed per call.

The data takes about 0.2 s to load; `preload` does it before the first request waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from extproc.model import Cost, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

CURRENCY: Final = "USD"
MODELS_MAX: Final = 1024
"""Distinct (provider, model) names whose look-up is remembered; more only cost the look-up again."""
MODEL_NAME_CHARS_MAX: Final = 256
"""A longer name is no model's."""

_PROVIDERS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "groq": "groq",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "perplexity": "perplexity",
    "x_ai": "x-ai",
    "cerebras": "cerebras",
    "fireworks": "fireworks",
    "openrouter": "openrouter",
    "together_ai": "together",
}
"""OTel `gen_ai.provider.name` (semantic conventions, registry of GenAI attributes) → genai-prices' provider id.

Only these: a guess by similar names would bill somebody's own server at a vendor's prices.
"""


@dataclass(frozen=True, slots=True)
class _Data:
    providers: Mapping[str, Provider]
    version: str


@cache
def _load() -> _Data:
    # Imported late: 0.25 s that only a process which prices should pay. The providers are read directly, because the
    # package's own entry points share a snapshot that anything in the process could have replaced by downloaded data.
    import genai_prices
    from genai_prices.data import providers

    return _Data({p.id: p for p in providers}, f"genai-prices {genai_prices.__version__}")


def preload() -> str:
    """Load the price data now. Returns its version, as `price_version` says it."""
    return _load().version


@lru_cache(MODELS_MAX)
def _find(provider_id: str, model: str) -> tuple[Provider, ModelInfo] | None:
    data = _load()
    provider = data.providers[provider_id]
    # Some providers sell others' models: their price list may refer to those providers.
    found = provider.find_model(model, all_providers=list(data.providers.values()))
    return (provider, found) if found is not None else None


def _unknown(reason: str) -> Cost:
    return Cost(unknown_reason=reason)


def price(provider: str, model: str | None, usage: Usage, at_ns: int) -> Cost:
    """What `usage` of `model` cost at `provider` (OTel name) at Unix time `at_ns` (nanoseconds).

    Give the response's model where it is known: it is the one that is billed. Never raises.
    """
    if usage.input_tokens is None and usage.output_tokens is None:
        return _unknown("no_usage")
    provider_id = _PROVIDERS.get(provider)
    if provider_id is None:
        return _unknown("unknown_provider")
    known = _find(provider_id, model) if model and len(model) <= MODEL_NAME_CHARS_MAX else None
    if known is None:
        return _unknown("unknown_model")
    return _calculated(*known, usage, at_ns)


def _calculated(provider: Provider, model: ModelInfo, usage: Usage, at_ns: int) -> Cost:
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    prices = model.get_prices(at)
    input_price, output_price = prices.input_mtok, prices.output_mtok
    if usage.input_tokens is None or (usage.output_tokens is None and output_price is not None):
        return _unknown("incomplete_usage")  # without an output price (embeddings) there is no output to count
    if input_price is None or (output_price is None and usage.output_tokens):
        return _unknown("unknown_price")
    try:
        calculation = model.calc_price(_tokens(usage), provider, genai_request_timestamp=at)
    except ValueError:
        return _unknown("invalid_usage")
    return Cost(calculation.total_price, CURRENCY, _load().version)


def _tokens(usage: Usage) -> Any:
    from genai_prices import Usage as Tokens

    return Tokens(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
    )
