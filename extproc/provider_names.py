"""Whose host this is: OTel `gen_ai.provider.name` where it has one (semantic conventions, registry of GenAI
attributes), else the vendor's own name in the same spelling. For recordings, which carry no route that would say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from extproc.model import Call

_HOSTS: Final[Mapping[str, str]] = {
    "api.openai.com": "openai",
    "chatgpt.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.mistral.ai": "mistral_ai",
    "codestral.mistral.ai": "mistral_ai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together_ai",
    "api.together.ai": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.cerebras.ai": "cerebras",
    "router.huggingface.co": "huggingface",
    "api-inference.huggingface.co": "huggingface",
    "api.voyageai.com": "voyage",
    "api.jina.ai": "jina",
    "api.sambanova.ai": "sambanova",
    "api.deepinfra.com": "deepinfra",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.novita.ai": "novita",
    "api.studio.nebius.ai": "nebius",
    "api.studio.nebius.com": "nebius",
    "api.tokenfactory.nebius.com": "nebius",
    "api.venice.ai": "venice",
    "api.ai21.com": "ai21",
    "api.upstage.ai": "upstage",
    "api.minimax.io": "minimax",
    "api.minimaxi.com": "minimax",
    "api.siliconflow.cn": "siliconflow",
    "api.siliconflow.com": "siliconflow",
    "api.githubcopilot.com": "github",
    "models.github.ai": "github",
    "models.inference.ai.azure.com": "github",
    "ai-gateway.vercel.sh": "vercel",
    "integrate.api.nvidia.com": "nvidia",
    "ai.api.nvidia.com": "nvidia",
    "dashscope.aliyuncs.com": "alibaba_cloud",
    "dashscope-intl.aliyuncs.com": "alibaba_cloud",
    "dashscope-us.aliyuncs.com": "alibaba_cloud",
    "api.z.ai": "z_ai",
    "open.bigmodel.cn": "z_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.writer.com": "writer",
    "api.inference.crusoecloud.com": "crusoe",
    "ollama.com": "ollama",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "firebasevertexai.googleapis.com": "gcp.vertex_ai",
}
_HOST_ENDS: Final[tuple[tuple[str, str], ...]] = (
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".inference.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
    (".api.openai.com", "openai"),
    (".snowflakecomputing.com", "snowflake"),
    (".cloud.databricks.com", "databricks"),
    (".azuredatabricks.net", "databricks"),
    (".gcp.databricks.com", "databricks"),
    (".huggingface.cloud", "huggingface"),
)
_AWS_ENDS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
OLLAMA_PORT: Final = 11434
"""Ollama listens there on hosts of anybody's (its FAQ, "How do I configure Ollama server?"), and nobody else does."""
_API_FAMILIES: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "gemini": "gcp.gemini",
    "ollama": "ollama",
}


def provider_of_host(host: str) -> str | None:
    """The provider behind a host name; None for one that nobody knows."""
    host = host.lower()
    if host in _HOSTS:
        return _HOSTS[host]
    if host.endswith(_AWS_ENDS) and host.startswith("bedrock"):
        return "aws.bedrock"
    return next((name for end, name in _HOST_ENDS if host.endswith(end)), None)


def provider_of(call: Call, api: str, *, port: int | None = None) -> str | None:
    """The provider behind `call`; None for a host that nobody knows and an api that many speak. `port`: of the address,
    where it names one."""
    known = provider_of_host(call.host)
    if known is not None:
        return known
    if port == OLLAMA_PORT:
        return "ollama"
    family = api.partition(".")[0]
    if family == "gemini" and "/publishers/" in call.path:
        return "gcp.vertex_ai"
    return _API_FAMILIES.get(family)
