"""Which api an address speaks: paths of the providers' documentation, of gateways, and of what is none of ours."""

from __future__ import annotations

import pytest

from extproc.codecs import CODECS, codec_for
from extproc.model import Call

OPENAI, AZURE, ANTHROPIC = "api.openai.com", "res.openai.azure.com", "api.anthropic.com"
FOUNDRY = "res.services.ai.azure.com"
GEMINI, VERTEX = "generativelanguage.googleapis.com", "us-central1-aiplatform.googleapis.com"
BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"
COHERE, OLLAMA, DATABRICKS = "api.cohere.com", "localhost:11434", "dbc-1.cloud.databricks.com"
CLOUDFLARE, LITELLM, OPENROUTER = "gateway.ai.cloudflare.com", "litellm.internal", "openrouter.ai"
CLOUDFLARE_PREFIX = "/v1/0123456789abcdef/my-gateway"
VERTEX_PREFIX = "/v1/projects/p-1/locations/us-central1/publishers"
PROFILE = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-sonnet-4-v1%3A0"

ADDRESSES = [
    # OpenAI, "API reference"
    ("POST", OPENAI, "/v1/chat/completions", "openai.chat"),
    ("POST", OPENAI, "/v1/completions", "openai.completions"),
    ("POST", OPENAI, "/v1/responses", "openai.responses"),
    ("POST", OPENAI, "/v1/embeddings", "openai.embeddings"),
    ("POST", OPENAI, "/v1/images/generations", "openai.images"),
    ("POST", OPENAI, "/v1/images/edits", "openai.images"),
    ("POST", OPENAI, "/v1/images/variations", "openai.images"),
    ("POST", OPENAI, "/v1/audio/speech", "openai.audio"),
    ("POST", OPENAI, "/v1/audio/transcriptions", "openai.audio"),
    ("POST", OPENAI, "/v1/audio/translations", "openai.audio"),
    ("POST", OPENAI, "/v1/moderations", "openai.moderations"),
    ("GET", OPENAI, "/v1/models", "openai.models"),
    ("GET", OPENAI, "/v1/models/gpt-5", "openai.models"),
    # Azure OpenAI, "REST API reference": by deployment, and the v1 API
    ("POST", AZURE, "/openai/deployments/gpt-5-nano/chat/completions", "openai.chat"),
    ("POST", AZURE, "/openai/deployments/d/completions", "openai.completions"),
    ("POST", AZURE, "/openai/deployments/d/embeddings", "openai.embeddings"),
    ("POST", AZURE, "/openai/deployments/d/images/generations", "openai.images"),
    ("POST", AZURE, "/openai/deployments/whisper/audio/transcriptions", "openai.audio"),
    ("POST", AZURE, "/openai/v1/responses", "openai.responses"),
    ("POST", AZURE, "/openai/responses", "openai.responses"),
    ("POST", AZURE, "/openai/v1/chat/completions", "openai.chat"),
    ("GET", AZURE, "/openai/models", "openai.models"),
    ("POST", FOUNDRY, "/models/chat/completions", "openai.chat"),
    ("POST", FOUNDRY, "/anthropic/v1/messages", "anthropic.messages"),
    # those who speak OpenAI's language, each by its own documentation
    ("POST", "api.groq.com", "/openai/v1/chat/completions", "openai.chat"),
    ("POST", "api.groq.com", "/openai/v1/audio/transcriptions", "openai.audio"),
    ("GET", "api.groq.com", "/openai/v1/models", "openai.models"),
    ("POST", "api.deepseek.com", "/chat/completions", "openai.chat"),
    ("POST", "api.deepseek.com", "/beta/completions", "openai.completions"),
    ("POST", "api.deepseek.com", "/anthropic/v1/messages", "anthropic.messages"),
    ("POST", "api.mistral.ai", "/v1/chat/completions", "openai.chat"),
    ("POST", "api.mistral.ai", "/v1/embeddings", "openai.embeddings"),
    ("POST", "api.mistral.ai", "/v1/agents/completions", "openai.chat"),
    ("POST", "api.mistral.ai", "/v1/fim/completions", "openai.completions"),
    ("POST", "us-south.ml.cloud.ibm.com", "/ml/v1/text/chat", "openai.chat"),
    ("POST", "us-south.ml.cloud.ibm.com", "/ml/v1/text/chat_stream", "openai.chat"),
    ("POST", "us-south.ml.cloud.ibm.com", "/ml/v1/deployments/mine/text/chat", "openai.chat"),
    ("POST", "api.perplexity.ai", "/chat/completions", "openai.chat"),
    ("POST", "api.x.ai", "/v1/chat/completions", "openai.chat"),
    ("POST", "api.x.ai", "/v1/responses", "openai.responses"),
    ("POST", OPENROUTER, "/api/v1/chat/completions", "openai.chat"),
    ("POST", OPENROUTER, "/api/v1/responses", "openai.responses"),
    ("GET", OPENROUTER, "/api/v1/models", "openai.models"),
    ("POST", "api.together.xyz", "/v1/chat/completions", "openai.chat"),
    ("POST", "api.fireworks.ai", "/inference/v1/chat/completions", "openai.chat"),
    ("POST", "router.huggingface.co", "/novita/v3/openai/chat/completions", "openai.chat"),
    ("POST", "api.z.ai", "/api/paas/v4/chat/completions", "openai.chat"),
    ("POST", "acme.snowflakecomputing.com", "/api/v2/cortex/v1/chat/completions", "openai.chat"),
    ("POST", "bedrock-mantle.us-east-1.api.aws", "/v1/chat/completions", "openai.chat"),
    ("POST", "bedrock-mantle.us-east-1.api.aws", "/openai/v1/responses", "openai.responses"),
    ("POST", DATABRICKS, "/serving-endpoints/chat/completions", "openai.chat"),
    ("POST", DATABRICKS, "/serving-endpoints/my-llm/invocations", "openai.chat"),
    ("POST", "api.voyageai.com", "/v1/embeddings", "openai.embeddings"),
    ("POST", "api.voyageai.com", "/v1/rerank", "openai.rerank"),
    ("POST", "api.jina.ai", "/v1/rerank", "openai.rerank"),
    ("POST", "vllm.internal:8000", "/v1/rerank", "openai.rerank"),
    ("POST", GEMINI, "/v1beta/openai/chat/completions", "openai.chat"),
    ("POST", VERTEX, "/v1/projects/p-1/locations/us-central1/endpoints/openapi/chat/completions", "openai.chat"),
    ("POST", COHERE, "/compatibility/v1/chat/completions", "openai.chat"),
    ("POST", OLLAMA, "/v1/chat/completions", "openai.chat"),
    ("POST", ANTHROPIC, "/v1/chat/completions", "openai.chat"),
    # Anthropic, "API reference"; Vertex AI, "Claude models"
    ("POST", ANTHROPIC, "/v1/messages", "anthropic.messages"),
    ("POST", ANTHROPIC, "/v1/messages/count_tokens", "anthropic.count_tokens"),
    ("POST", ANTHROPIC, "/v1/complete", "anthropic.complete"),
    ("GET", ANTHROPIC, "/v1/models", "anthropic.models"),
    ("GET", ANTHROPIC, "/v1/models/claude-sonnet-4-5", "anthropic.models"),
    ("POST", VERTEX, f"{VERTEX_PREFIX}/anthropic/models/claude-sonnet-4@20250514:rawPredict", "anthropic.messages"),
    ("POST", VERTEX, f"{VERTEX_PREFIX}/anthropic/models/claude-opus-4:streamRawPredict", "anthropic.messages"),
    # Gemini, "API reference"; Vertex AI, "Generate content"
    ("POST", GEMINI, "/v1beta/models/gemini-2.5-flash:generateContent", "gemini.generate_content"),
    ("POST", GEMINI, "/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini.generate_content"),
    ("POST", GEMINI, "/v1beta/tunedModels/mine:generateContent", "gemini.generate_content"),
    ("POST", GEMINI, "/v1beta/models/gemini-2.5-flash:countTokens", "gemini.count_tokens"),
    ("POST", GEMINI, "/v1beta/models/gemini-embedding-001:embedContent", "gemini.embed_content"),
    ("POST", GEMINI, "/v1beta/models/gemini-embedding-001:batchEmbedContents", "gemini.embed_content"),
    ("POST", GEMINI, "/v1beta/interactions", "gemini.interactions"),
    ("GET", GEMINI, "/v1beta/models", "gemini.models"),
    ("POST", VERTEX, f"{VERTEX_PREFIX}/google/models/gemini-2.5-pro:generateContent", "gemini.generate_content"),
    ("POST", VERTEX, f"{VERTEX_PREFIX}/google/models/gemini-2.5-pro:streamGenerateContent", "gemini.generate_content"),
    ("POST", VERTEX, f"{VERTEX_PREFIX}/google/models/gemini-2.5-pro:countTokens", "gemini.count_tokens"),
    ("POST", VERTEX, f"{VERTEX_PREFIX}/google/models/text-embedding-005:predict", "gemini.embed_content"),
    # Amazon Bedrock, "API reference": ids, profiles of a region, and ARNs, escaped as SigV4 wants it or not
    ("POST", BEDROCK, "/model/amazon.nova-micro-v1%3A0/converse", "bedrock.converse"),
    ("POST", BEDROCK, "/model/us.amazon.nova-lite-v1:0/converse-stream", "bedrock.converse"),
    ("POST", BEDROCK, f"/model/{PROFILE}/converse", "bedrock.converse"),
    ("POST", BEDROCK, f"/model/{PROFILE}/converse-stream", "bedrock.converse"),
    ("POST", BEDROCK, "/model/anthropic.claude-v2/invoke", "bedrock.invoke_model"),
    ("POST", BEDROCK, "/model/meta.llama3-70b-instruct-v1%3A0/invoke-with-response-stream", "bedrock.invoke_model"),
    ("POST", BEDROCK, f"/model/{PROFILE}/invoke", "bedrock.invoke_model"),
    # Cohere, "API reference"; private deployments; vLLM, which has its embed and rerank; Azure AI Foundry
    ("POST", COHERE, "/v2/chat", "cohere.v2.chat"),
    ("POST", COHERE, "/v1/chat", "cohere.v1.chat"),
    ("POST", COHERE, "/v1/generate", "cohere.v1.generate"),
    ("POST", COHERE, "/v2/embed", "cohere.v2.embed"),
    ("POST", COHERE, "/v1/embed", "cohere.v1.embed"),
    ("POST", COHERE, "/v2/rerank", "cohere.v2.rerank"),
    ("POST", COHERE, "/v1/rerank", "cohere.v1.rerank"),
    ("POST", "api.cohere.ai", "/v1/rerank", "cohere.v1.rerank"),
    ("POST", "north.internal", "/v2/chat", "cohere.v2.chat"),
    ("POST", "vllm.internal:8000", "/v2/embed", "cohere.v2.embed"),
    ("POST", "cmd-r.eastus2.models.ai.azure.com", "/v1/chat", "cohere.v1.chat"),
    # Ollama, "API"
    ("POST", OLLAMA, "/api/chat", "ollama.chat"),
    ("POST", OLLAMA, "/api/generate", "ollama.generate"),
    ("POST", OLLAMA, "/api/embed", "ollama.embed"),
    ("POST", OLLAMA, "/api/embeddings", "ollama.embed"),
    ("POST", "ollama.com", "/api/chat", "ollama.chat"),
    # gateways: Cloudflare AI Gateway, LiteLLM's pass-through, Portkey, Databricks' own
    ("POST", CLOUDFLARE, f"{CLOUDFLARE_PREFIX}/openai/chat/completions", "openai.chat"),
    ("POST", CLOUDFLARE, f"{CLOUDFLARE_PREFIX}/openai/responses", "openai.responses"),
    ("POST", CLOUDFLARE, f"{CLOUDFLARE_PREFIX}/compat/chat/completions", "openai.chat"),
    ("POST", CLOUDFLARE, f"{CLOUDFLARE_PREFIX}/anthropic/v1/messages", "anthropic.messages"),
    ("POST", CLOUDFLARE, f"{CLOUDFLARE_PREFIX}/cohere/v1/chat", "cohere.v1.chat"),
    ("POST", CLOUDFLARE, f"{CLOUDFLARE_PREFIX}/cohere/v2/chat", "cohere.v2.chat"),
    (
        "POST",
        CLOUDFLARE,
        f"{CLOUDFLARE_PREFIX}/google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent",
        "gemini.generate_content",
    ),
    (
        "POST",
        CLOUDFLARE,
        f"{CLOUDFLARE_PREFIX}/aws-bedrock/bedrock-runtime/us-east-1/model/amazon.nova-lite-v1:0/converse",
        "bedrock.converse",
    ),
    ("POST", LITELLM, "/chat/completions", "openai.chat"),
    ("POST", LITELLM, "/anthropic/v1/messages", "anthropic.messages"),
    ("POST", LITELLM, "/cohere/v1/chat", "cohere.v1.chat"),
    ("POST", LITELLM, "/bedrock/model/anthropic.claude-v2/converse", "bedrock.converse"),
    ("POST", LITELLM, "/gemini/v1beta/models/gemini-2.5-flash:generateContent", "gemini.generate_content"),
    ("POST", DATABRICKS, "/ai-gateway/anthropic/v1/messages", "anthropic.messages"),
    # MCP servers, by their own documentation
    ("POST", "mcp.deepwiki.com", "/mcp", "mcp"),
    ("GET", "mcp.deepwiki.com", "/mcp", "mcp"),
    ("DELETE", "mcp.deepwiki.com", "/mcp", "mcp"),
    ("POST", "mcp.stripe.com", "/", "mcp"),
    ("POST", "api.githubcopilot.com", "/mcp/", "mcp"),
    ("POST", "api.githubcopilot.com", "/mcp/x/issues/readonly", "mcp"),
    ("POST", "learn.microsoft.com", "/api/mcp", "mcp"),
    ("POST", "docs.cohere.com", "/_mcp/server", "mcp"),
    ("POST", DATABRICKS, "/api/2.0/mcp/functions/main/default", "mcp"),
    ("POST", LITELLM, "/github/mcp", "mcp"),
    ("POST", "tools.internal", "/weather-mcp", "mcp"),
    ("GET", "tools.internal", "/sse", "mcp"),
    ("POST", "tools.internal", "/messages/", "mcp"),
]

NOT_OURS = [
    ("POST", OPENAI, "/v1/files"),
    ("GET", OPENAI, "/v1/files/file-1/content"),
    ("DELETE", OPENAI, "/v1/files/file-1"),
    ("DELETE", OPENAI, "/v1/files/my-mcp"),
    ("POST", OPENAI, "/v1/batches"),
    ("POST", "us-south.ml.cloud.ibm.com", "/ml/v1/text/generation"),
    ("POST", "us-south.ml.cloud.ibm.com", "/ml/v1/text/chat_streams"),
    ("POST", OPENAI, "/v1/threads"),
    ("POST", OPENAI, "/v1/threads/thread_1/messages"),
    ("GET", OPENAI, "/v1/threads/thread_1/messages"),
    ("POST", OPENAI, "/v1/threads/thread_1/runs"),
    ("POST", OPENAI, "/v1/assistants"),
    ("POST", OPENAI, "/v1/fine_tuning/jobs"),
    ("POST", OPENAI, "/v1/vector_stores"),
    ("POST", OPENAI, "/v1/uploads"),
    ("POST", OPENAI, "/v1/realtime/sessions"),
    ("DELETE", OPENAI, "/v1/models/ft:gpt-4o:acme:mcp-bot:1"),
    ("POST", ANTHROPIC, "/v1/messages/batches"),
    ("POST", ANTHROPIC, "/v1/files"),
    ("POST", ANTHROPIC, "/v1/skills"),
    ("POST", GEMINI, "/upload/v1beta/files"),
    ("POST", GEMINI, "/v1beta/cachedContents"),
    ("POST", GEMINI, "/v1beta/models/gemini-2.5-flash:batchGenerateContent"),
    ("POST", VERTEX, "/v1/projects/my-mcp/locations/us-central1/customJobs"),
    ("POST", VERTEX, f"{VERTEX_PREFIX}/google/models/imagen-4:predictLongRunning"),
    ("POST", BEDROCK, "/guardrail/g-1/version/1/apply"),
    ("POST", BEDROCK, "/async-invoke"),
    ("GET", BEDROCK, "/model/anthropic.claude-v2/converse"),
    ("POST", COHERE, "/v1/classify"),
    ("POST", COHERE, "/v1/tokenize"),
    ("POST", COHERE, "/v1/detokenize"),
    ("POST", COHERE, "/v1/summarize"),
    ("POST", COHERE, "/v1/embed-jobs"),
    ("POST", COHERE, "/v2/parse"),
    ("POST", COHERE, "/v3/chat"),
    ("GET", COHERE, "/v2/chat"),
    ("POST", "api.writer.com", "/v1/chat"),
    ("POST", "evilcohere.com", "/v1/chat"),
    ("POST", OLLAMA, "/api/pull"),
    ("POST", OLLAMA, "/api/create"),
    ("DELETE", OLLAMA, "/api/delete"),
    ("PUT", "tools.internal", "/mcp"),
    ("POST", "tools.internal", "/rpc"),
    ("GET", "tools.internal", "/mcpx"),
    ("GET", "tools.internal", "/"),
    # what the next server might read in another way than we do
    ("POST", OPENAI, "/v1//chat/completions"),
    ("POST", OPENAI, "//v1/chat/completions"),
    ("POST", OPENAI, "/v1/chat/completions/"),
    ("POST", OPENAI, "/v1/chat/completions;x=1"),
    ("POST", OPENAI, "/v1/chat%2Fcompletions"),
    ("POST", OPENAI, "/v1/files%3F/chat/completions"),
    ("POST", OPENAI, "/v1/files#/chat/completions"),
    ("POST", OPENAI, "/v1/chat/completions\n"),
    ("POST", OPENAI, "/v1/CHAT/COMPLETIONS"),
    ("POST", OPENAI, "v1/chat/completions"),
    ("POST", OPENAI, ""),
    ("POST", ANTHROPIC, "/v1/messages//"),
    ("POST", "tools.internal", "/mcp//"),
    ("POST", "tools.internal", "/%6Dcp"),
    ("post", OPENAI, "/v1/chat/completions"),
]

MCP_ACCEPT = "application/json, text/event-stream"
BY_HEADERS = [
    ("POST", "/", {"accept": MCP_ACCEPT}, "mcp"),
    ("POST", "/rpc", {"accept": "text/event-stream,application/json;q=0.9"}, "mcp"),
    ("POST", "/rpc", {"mcp-protocol-version": "2025-06-18"}, "mcp"),
    ("POST", "/rpc", {"mcp-session-id": "8b1c"}, "mcp"),
    ("POST", "/rpc", {"accept": "application/json"}, "opaque"),
    ("POST", "/rpc", {"accept": f"{MCP_ACCEPT}, */*"}, "opaque"),
    ("POST", "/rpc", {"accept": "*/*"}, "opaque"),
    ("GET", "/rpc", {"accept": "text/event-stream", "mcp-session-id": "8b1c"}, "opaque"),
    ("DELETE", "/rpc", {"mcp-session-id": "8b1c"}, "opaque"),
    ("POST", "/v1/chat/completions", {"mcp-session-id": "8b1c", "accept": MCP_ACCEPT}, "openai.chat"),
    ("POST", "/v2/chat", {"accept": MCP_ACCEPT}, "cohere.v2.chat"),
    ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, "anthropic.models"),
    ("GET", "/v1/models", {}, "openai.models"),
]


@pytest.mark.parametrize(("method", "host", "path", "api"), ADDRESSES)
def test_an_address_tells_its_api(method: str, host: str, path: str, api: str) -> None:
    assert codec_for(Call(method, path, host)).api == api


@pytest.mark.parametrize(("method", "host", "path"), NOT_OURS)
def test_what_no_codec_reads_stays_opaque(method: str, host: str, path: str) -> None:
    assert codec_for(Call(method, path, host)).api == "opaque"


@pytest.mark.parametrize(("method", "path", "hints", "api"), BY_HEADERS)
def test_headers_pick_only_where_the_address_leaves_it_open(
    method: str, path: str, hints: dict[str, str], api: str
) -> None:
    assert codec_for(Call(method, path, "gateway.example.com", hints=hints)).api == api


def test_every_api_has_an_address_here() -> None:
    assert {api for *_, api in ADDRESSES} == set(CODECS) - {"opaque"}
