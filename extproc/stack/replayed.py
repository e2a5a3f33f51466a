"""Routes for `replay:DIR`: any recording can be sent through the gate, to the host that it was recorded from.

The last route takes whatever no other wants, in shadow and untouched. A host whose provider is known gets a route of
its own before it, so that the archive says `groq` rather than `unknown`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from extproc.config import Configuration, Match, Provider, RouteSettings, Secret
from extproc.model import Credentials, Mode, OnDiskFull
from extproc.upstream.recordings import load_recordings

PROVIDERS_BY_HOST: Final[Mapping[str, str]] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together",
    "api.cerebras.ai": "cerebras",
    ".openai.azure.com": "azure.ai.openai",
    ".cognitiveservices.azure.com": "azure.ai.openai",
    "-aiplatform.googleapis.com": "gcp.vertex_ai",
    ".amazonaws.com": "aws.bedrock",
    ".api.aws": "aws.bedrock",
}
"""Host, or its end, → OTel `gen_ai.provider.name`."""
UNKNOWN: Final = "unknown"
CATCH_ALL: Final = "replay"


def provider_of(host: str) -> str:
    """The provider that a host name belongs to, or `unknown`."""
    exact = PROVIDERS_BY_HOST.get(host)
    if exact is not None:
        return exact
    return next(
        (name for end, name in PROVIDERS_BY_HOST.items() if end.startswith((".", "-")) and host.endswith(end)), UNKNOWN
    )


def replay_additions(configuration: Configuration, directory: Path) -> Configuration:
    """The configuration with routes for every recording's host, and one for any."""
    recordings, _ = load_recordings(directory)
    taken = {host.lower() for route in configuration.routes for host in route.match.hosts}
    hosts: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        host = recording.authority.rpartition("@")[2].partition(":")[0]
        if host and host not in taken and provider_of(host) != UNKNOWN:
            hosts[provider_of(host)].add(host)
    providers, routes = dict(configuration.providers), list(configuration.routes)
    for name, its_hosts in sorted(hosts.items()):
        key = _identifier(f"{CATCH_ALL}-{name}")
        providers[key] = Provider(name=name, endpoint=f"https://{min(its_hosts)}")
        routes.append(_route(key, (*sorted(its_hosts), "*"), its_hosts, key))
    providers[CATCH_ALL] = Provider(name=UNKNOWN, endpoint="https://replay.invalid")
    routes.append(_route(CATCH_ALL, ("*",), set(), CATCH_ALL))
    return configuration.model_copy(
        update={
            "providers": providers,
            "routes": tuple(routes),
            "fingerprint_key": configuration.fingerprint_key or Secret(value="replay"),
        }
    )


def _route(name: str, hosts: tuple[str, ...], own_hosts: set[str], provider: str) -> RouteSettings:
    return RouteSettings(
        name=name,
        match=Match(hosts=tuple(sorted(own_hosts)) or hosts),
        provider=provider,
        mode=Mode.SHADOW,
        credentials=Credentials.PASSTHROUGH,
        authentication="none",
        on_disk_full=OnDiskFull.PASS_AND_COUNT,
        retries=0,
    )


def _identifier(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text.lower())
