"""Google's paths, in which the model and the method stand: `…/models/X:generateContent`.

/v1beta/models/X:method                                                   Gemini API
/v1beta/tunedModels/X:method
/v1/projects/P/locations/L/publishers/google/models/X:method              Vertex AI
/v1/publishers/google/models/X:method                                     Vertex AI with a key (express mode)
/v1/projects/P/locations/L/endpoints/ID:method                            a model tuned or deployed on Vertex AI
/v1beta/projects/P[/locations/L/publishers/google]/models/X:method        Firebase
/v1internal:method                                                        Code Assist (Gemini CLI): no model in it
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATH = re.compile(
    r"(?P<before>(?:/[^/]+)*?)/(?P<named>(?P<collection>models|tunedModels|endpoints)/(?P<id>[^/]+)):(?P<method>[A-Za-z]+)"
)
_CODE_ASSIST = re.compile(r"(?:/[^/]+)*/v\d+internal:(?P<method>[A-Za-z]+)")
_NAME = re.compile(r"[A-Za-z0-9._~@:+-]+")
_COLLECTED_NAME = re.compile(r"(?:(?:tunedModels|endpoints)/)?[A-Za-z0-9._~@:+-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for."""

    method: str
    model: str | None
    """`gemini-2.5-flash`, `tunedModels/mine`, `endpoints/123`; None where the body names it."""
    is_vertex: bool = False
    is_code_assist: bool = False
    """Request and response stand one level deeper, in `request` and `response`."""


def target(path: str) -> Target | None:
    """What `path` (without query) asks for; None when it is none of Google's model paths."""
    if not path.rpartition(":")[2].isalpha():  # asked for every call that is not Google's, too
        return None
    if (match := _PATH.fullmatch(path)) is not None:
        model = match["id"] if match["collection"] == "models" else match["named"]
        is_vertex = match["collection"] == "endpoints" or "/publishers/" in match["before"]
        return Target(match["method"], model, is_vertex)
    if (match := _CODE_ASSIST.fullmatch(path)) is not None:
        return Target(match["method"], None, is_code_assist=True)
    return None


def bare(model: str) -> str:
    """A model's name as a path or body has it (`models/X`, `projects/…/publishers/google/models/X`) as we say it."""
    collection, _, name = model.rpartition("/")
    last = collection.rpartition("/")[2]
    return f"{last}/{name}" if last in ("tunedModels", "endpoints") else name


def with_model(path: str, model: str) -> str:
    """`path` asking for another model. Raises `LookupError` when it names none, or cannot name this one."""
    match = _PATH.fullmatch(path)
    wanted = bare(model)
    if match is None or _COLLECTED_NAME.fullmatch(wanted) is None:
        raise LookupError("this path names no model, or cannot name that one")
    before = path[: match.start("named")]
    if _NAME.fullmatch(wanted):
        collection = "publishers/google/models" if match["collection"] == "endpoints" else "models"
        wanted = f"{collection}/{wanted}"
    elif wanted.startswith("endpoints/"):  # these are the project's, not the publisher's
        before = before.removesuffix("publishers/google/")
    return f"{before}{wanted}{path[match.end('named') :]}"
