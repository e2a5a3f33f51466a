"""Where Cohere's API is spoken.

Some of its paths are nobody else's (`/v2/chat`, `/v1/embed`, `/v2/embed`, `/v2/rerank`): those are taken under any host
and prefix, because the models are deployed privately too. Others are called alike elsewhere (`/v1/chat`,
`/v1/generate`, `/v1/rerank`): those are Cohere's on Cohere's hosts, on Azure's hosts for a single model, and behind a
prefix that says so, as gateways (LiteLLM, Cloudflare, Portkey) and Azure's `/providers/cohere/v2/rerank` have it.

Sources: Cohere API reference; Microsoft Learn, "Deploy Cohere models as serverless API deployments".
"""

from __future__ import annotations

import re

from extproc.model import Call

_PATH = re.compile(r"(?P<prefix>(?:/[^/]+)*)/(?P<call>v[12]/(?:chat|embed|rerank|generate))")
_OURS_ALONE = frozenset({"v2/chat", "v1/embed", "v2/embed", "v2/rerank"})
_HOST = re.compile(r"(?:.+\.)?(?:cohere\.(?:com|ai)|(?:inference|models)\.ai\.azure\.com)", re.IGNORECASE)


def speaks(call: Call, wanted: str) -> bool:
    """Is this a POST of the call `wanted` (`v2/chat`), to Cohere or to who can only mean Cohere's grammar?"""
    if call.method != "POST" or not call.path.endswith(wanted):
        return False
    path = _PATH.fullmatch(call.path)
    if path is None or path["call"] != wanted:
        return False
    host = call.host.partition(":")[0]
    return wanted in _OURS_ALONE or _HOST.fullmatch(host) is not None or path["prefix"].endswith("/cohere")
