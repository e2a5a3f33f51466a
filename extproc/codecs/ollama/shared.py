"""What Ollama's calls have in common (Ollama's docs/api.md and `api/types.go`).

Ollama is written in Go, whose JSON reader takes `Messages` for `messages`: keys that differ only in case are refused at
every level.
"""

from __future__ import annotations

from typing import Any

import orjson

from extproc.json_codec import JsonCodec
from extproc.media import Parts, base64_part
from extproc.model import Call, ErrorFacts, ErrorReply, Usage
from extproc.shape import Fields, as_count, as_name, as_text, invalid
from extproc.steering import Parameters, Steering

ERROR_CHARS_MAX = 4_096

_FIGURES = (
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)
"""Members of the last object that say what a call took: there is no usage object. Durations are nanoseconds."""
_OPTION_KEYS = frozenset(
    """frequency_penalty mirostat num_ctx num_predict presence_penalty repeat_penalty seed stop temperature top_k
    top_p""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_OPTIONS = Steering("frequency_penalty min_p num_ctx presence_penalty repeat_penalty seed top_k top_p")
_STEERING = Steering("think")


class OllamaCodec(JsonCodec):
    """Errors of Ollama: `{"error": "…"}`, by status and as a line of the stream."""

    path_ends: tuple[str, ...]

    def matches(self, call: Call) -> bool:
        """Under any prefix. Others have an `/api/chat` of their own: their bodies are refused where rules bind."""
        return call.method == "POST" and call.path.endswith(self.path_ends)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        body = orjson.dumps({"error": f"{message} ({code}, exchange {exchange_id})"})
        return ErrorReply(status, body, headers={"x-should-retry": "false"} if status < 500 else {})

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """A line of its own: the clients raise `ResponseError` for it."""
        del call
        return self.error(status=status, code=code, message=message, exchange_id=exchange_id).body + b"\n"


def streams(body: Fields) -> bool:
    """Ollama streams unless it is told not to."""
    return body.raw("stream") is None or body.flag("stream")


def read_options(body: Fields) -> tuple[int | None, float | None, Parameters]:
    """`options`: the output limit, None for none (`num_predict` -1 and -2); the temperature; the rest as parameters,
    together with `think`."""
    options = body.fields("options")
    options.refuse_lookalikes(_OPTION_KEYS)
    limit = options.integer("num_predict", at_least=-2)
    found = _OPTIONS.of(options.members) | _STEERING.of(body.members)
    return limit if limit is not None and limit >= 0 else None, options.number("temperature"), found


def read_images(holder: Fields, where: str, parts: Parts) -> None:
    """`images`: a list of base64 without any prefix."""
    images = holder.raw("images")
    if images is None:
        return
    if type(images) is not list or any(type(image) is not str for image in images):
        raise invalid(holder.named("images"), "a list of strings")
    for index, image in enumerate(images):
        parts.append(base64_part("image", f"{where}/images/{index}", image, ""))


def read_error(document: dict[str, Any]) -> ErrorFacts | None:
    """The error in an object of an answer, None where there is none."""
    error = document.get("error")
    if not error:
        return None
    if type(error) is dict:  # Ollama's servers behind somebody's gateway
        return ErrorFacts(as_name(error.get("type")) or "error", as_text(error.get("message"))[:ERROR_CHARS_MAX])
    return ErrorFacts("error", as_text(error)[:ERROR_CHARS_MAX])


def figures(document: dict[str, Any]) -> dict[str, Any]:
    """The provider's own words on what the call took."""
    return {key: document[key] for key in _FIGURES if key in document}


def usage_of(said: dict[str, Any]) -> Usage:
    """`prompt_eval_count` is missing where the whole prompt was still in the cache of the server."""
    return Usage(input_tokens=as_count(said.get("prompt_eval_count")), output_tokens=as_count(said.get("eval_count")))
