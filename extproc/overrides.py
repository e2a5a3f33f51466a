"""What beside method, path and body could say another request than they do: headers and query parameters. Pure.

Servers differ in what they obey. A header by which some server takes another method, path, host or model is taken off
on enforced routes. A query cannot be edited (signatures cover it), so one that says such a thing is a problem of the
request.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

HEADERS: Final = (
    # another method (Rails, ASP.NET, Google's APIs) or path (IIS, Zend, Symfony before 2018)
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-forwarded-method",
    "x-envoy-original-method",
    "x-original-url",
    "x-original-uri",
    "x-original-path",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-forwarded-prefix",
    # another host or client (RFC 7239 and what was before it)
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-port",
    "x-original-host",
    "x-envoy-original-host",
    "x-host",
    "x-http-host-override",
    "x-real-ip",
    # another model: the deployment behind an endpoint of Azure Machine Learning
    "azureml-model-deployment",
    # what the body's trailers are said to be, which do not go on
    "trailer",
)
"""Taken off on enforced routes, with those that Envoy adds itself taken off on all."""

METHOD_PARAMETERS: Final = frozenset({"_method", *(name for name in HEADERS if name.endswith(("method", "-override")))})
"""Query parameters by which some servers take another method."""
BODY_PARAMETERS: Final = frozenset(
    {"model", "models", "model_id", "modelid", "deployment", "deployment_id", "engine", "fallbacks"}
    | {"messages", "prompt", "input", "inputs", "contents", "system", "instructions", "tools"}
)
"""Query parameters by which a server could take another model or prompt than the body's. No provider documents one for
a call whose body we read."""
WITHOUT_MODEL: Final = frozenset({"opaque", "mcp"})
"""Apis of whose bodies no model and no prompt is judged: their queries are their own."""
PARAMETERS_MAX: Final = 256
"""A query of more parameters is not looked through: it counts as saying anything."""
_TOO_MANY: Final = METHOD_PARAMETERS | BODY_PARAMETERS
_SEPARATORS: Final = re.compile(r"[&;?]")
_NAME_END: Final = re.compile(r"[=\[.]")


def overriding_parameters(target: str) -> frozenset[str]:
    """Which of `METHOD_PARAMETERS` and `BODY_PARAMETERS` the query of a request target has.

    A parameter counts in any case, escaped once or twice, with brackets or dots behind it (`model[]`), behind `;` too.
    """
    _, mark, query = target.partition("?")
    if not mark or not query:
        return frozenset()
    parameters = _SEPARATORS.split(query, maxsplit=PARAMETERS_MAX)
    if len(parameters) > PARAMETERS_MAX:
        return _TOO_MANY
    names = set()
    for parameter in parameters:
        unescaped = unquote_plus(unquote_plus(parameter))
        names |= {_NAME_END.split(piece, maxsplit=1)[0].strip().casefold() for piece in _SEPARATORS.split(unescaped)}
    return _TOO_MANY & names


def says_otherwise(parameters: frozenset[str], api: str) -> bool:
    """Could these say another method, or another model or prompt than a body of `api` that was read?"""
    return bool(parameters) and (api not in WITHOUT_MODEL or not parameters.isdisjoint(METHOD_PARAMETERS))
