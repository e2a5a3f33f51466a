"""What one exchange cost: `genai-prices`, from the data inside its wheel, never from the network.

A price that is not known is `Cost(None, unknown_reason=…)`, never 0:

    no_usage          the response carried no tokens: an error, a cut stream without estimate, an opaque call
    incomplete_usage  one of input and output tokens is missing, so that any sum would be too small
    invalid_usage     the figures contradict each other (more cached tokens than input tokens, negative ones)
    unknown_provider  nobody publishes prices for the route's `provider.name`
    unknown_model     the provider has no such model in the data, or the response named none
    unknown_price     the model is known, but not what its input or output tokens cost
    unknown_tier      served by a tier that has prices of its own (batch, flex, priority, provisioned), not known here

Prices are those of the day of the request. Usage is counted as OTel GenAI counts it, and so does genai-prices: input
includes what was read from and written to a cache, output includes reasoning. Cache writes that live an hour, audio,
images and searches are priced apart where the price list has them. Where a provider bills other figures than it counts
(Cohere's `billed_units`), those it bills are priced. Not in the sum: tools billed per call other than searches.

The data takes about 0.2 s to load; `preload` does it before the first request waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    "databricks": "databricks",
    "fireworks": "fireworks",
    "fireworks_ai": "fireworks",
    "openrouter": "openrouter",
    "together_ai": "together",
    "voyage": "voyageai",
    "z_ai": "zai",
}
"""OTel `gen_ai.provider.name` (semantic conventions, registry of GenAI attributes) → genai-prices' provider id.

Only these: a guess by similar names would bill somebody's own server at a vendor's prices.
"""


_LIST_PRICE_TIERS: Final = frozenset({"default", "standard", "auto", "on_demand", "standard_only"})
"""Service tiers that cost the list price: OpenAI `default`, Anthropic `standard`, Groq and Vertex `on_demand`."""

_AUDIO_COSTS_MORE: Final = frozenset({"openai", "azure"})
"""Where audio always has a price of its own: a list without one does not know it. (Elsewhere it costs what text does.)
"""

_BILLED_AS_ASKED: Final = frozenset({"aws"})
"""Bedrock bills the model or inference profile that was called; the answer names the vendor's model without the region
that makes it dearer."""


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


def price(
    provider: str,
    model: str | None,
    usage: Usage,
    at_ns: int,
    service_tier: str | None = None,
    *,
    asked_model: str | None = None,
) -> Cost:
    """What `usage` of `model` cost at `provider` (OTel name) at Unix time `at_ns` (nanoseconds).

    `model` is the response's: it is the one that is billed, `asked_model` only where the response named none (and at
    Bedrock, which bills what was called). `service_tier` is the provider's word for the tier that served the call; None
    for its usual one. Never raises.
    """
    usage = _billed(usage)
    if usage.input_tokens is None and usage.output_tokens is None:
        return _unknown("no_usage")
    if service_tier is not None and service_tier.lower() not in _LIST_PRICE_TIERS:
        return _unknown("unknown_tier")
    provider_id = _PROVIDERS.get(provider)
    if provider_id is None:
        return _unknown("unknown_provider")
    names = (asked_model, model) if provider_id in _BILLED_AS_ASKED else (model or asked_model,)
    for name in names:
        known = _find(provider_id, name) if name and len(name) <= MODEL_NAME_CHARS_MAX else None
        if known is not None:
            return _calculated(*known, usage, at_ns)
    return _unknown("unknown_model")


def _calculated(provider: Provider, model: ModelInfo, usage: Usage, at_ns: int) -> Cost:
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    prices = model.get_prices(at)
    input_price, output_price = prices.input_mtok, prices.output_mtok
    if usage.input_tokens is None or (usage.output_tokens is None and output_price is not None):
        return _unknown("incomplete_usage")  # without an output price (embeddings) there is no output to count
    priced_apart = (usage.output_image_tokens or 0) if prices.output_image_mtok is not None else 0
    if input_price is None or (output_price is None and (usage.output_tokens or 0) != priced_apart):
        return _unknown("unknown_price")
    if provider.id in _AUDIO_COSTS_MORE and (
        (usage.input_audio_tokens and prices.input_audio_mtok is None)
        or (usage.output_audio_tokens and prices.output_audio_mtok is None)
    ):
        return _unknown("unknown_price")
    try:
        calculation = model.calc_price(_tokens(usage), provider, genai_request_timestamp=at)
    except ValueError:
        return _unknown("invalid_usage")
    return Cost(calculation.total_price, CURRENCY, _load().version)


def _billed(usage: Usage) -> Usage:
    """With the figures that the provider bills, where they are not those that it counts."""
    if usage.billed_input_tokens is None and usage.billed_output_tokens is None:
        return usage
    return replace(usage, input_tokens=usage.billed_input_tokens, output_tokens=usage.billed_output_tokens or 0)


def _tokens(usage: Usage) -> Any:
    from genai_prices import Usage as Tokens

    return Tokens(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_write_1h_tokens=usage.cache_creation_1h_input_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        input_image_tokens=usage.input_image_tokens,
        output_image_tokens=usage.output_image_tokens,
        web_searches=usage.web_searches,
    )
