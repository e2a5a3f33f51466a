"""How many recordings every api and provider is held to: `python -m tests.codecs.counted`.

Own recordings are in this folder; the corpus is the one that HEADGATE_CORPUS names. Prints the tables of docs/apis.md.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Final

from extproc.codecs import CODECS, codec_for, recognised
from extproc.errors import ClientError
from extproc.framing import strict_json
from extproc.provider_names import provider_of
from tests.codecs.support import RECORDINGS, Recording, corpus_recordings
from tests.codecs.test_corpus_cost import RECORDINGS as MAY_BE_PRICED
from tests.codecs.test_corpus_cost import _priced

_OF_CORPUS: Final = {
    "bedrock.converseStream": "bedrock.converse",
    "gemini.generateContent": "gemini.generate_content",
    "gemini.streamGenerateContent": "gemini.generate_content",
}
"""The corpus' names of apis that are called otherwise here."""


def has_corpus() -> bool:
    return bool(corpus_recordings())


def own() -> Counter[str]:
    """Own recordings by api."""
    return Counter({folder.name: len(list(folder.iterdir())) for folder in RECORDINGS.iterdir() if folder.is_dir()})


def exchanges() -> tuple[Counter[str], Counter[str]]:
    """The corpus' exchanges by api (as the path tells it, else the body), and by provider."""
    apis, providers = Counter[str](), Counter[str]()
    for recording in corpus_recordings():
        api = _api(recording)
        apis[api] += 1
        providers[provider_of(recording.call, api) or "(unknown)"] += 1
    return apis, providers


def _api(recording: Recording) -> str:
    codec = codec_for(recording.call)
    if codec.api == "opaque" and recording.request_body:
        try:
            document = strict_json.parse(recording.request_body, depth_max=128)
        except ClientError:
            return codec.api
        codec = recognised(document, recording.call) or codec
    return codec.api


def answers() -> Counter[str]:
    """The corpus' answers without a request, by api."""
    root = os.environ.get("HEADGATE_CORPUS")
    metas = (Path(root) / "responses_only").glob("*/meta.json") if root else ()
    named = [json.loads(meta.read_bytes())["api"] for meta in metas]
    return Counter(_OF_CORPUS.get(api, api) for api in named)


def priced() -> Counter[str]:
    """The corpus' exchanges with a cost that is not estimated, by provider."""
    return Counter(provider for recording in MAY_BE_PRICED if (provider := _priced(recording)))


def main() -> None:
    written, golden = own(), answers()
    apis, providers = exchanges()
    print("| api | own recordings | exchanges | answers alone |\n|---|---|---|---|")
    for api in CODECS:
        print(f"| `{api}` | {written[api] or ''} | {apis[api] or ''} | {golden[api] or ''} |")
    print(f"| in all | {written.total()} | {apis.total()} | {golden.total()} |")
    billed = priced()
    print("\n| provider | exchanges | with a price |\n|---|---|---|")
    for provider, count in sorted(providers.items()):
        print(f"| `{provider}` | {count} | {billed[provider] or ''} |")
    print(f"| in all | {providers.total()} | {billed.total()} |")


if __name__ == "__main__":
    main()
