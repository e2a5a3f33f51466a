"""May decisions of the policy that runs be remembered? Read from what the running OPA says of itself; pure functions.

    GET /v1/data/system/bundles   → revisions, roots and ETags of the bundles it serves
    GET /v1/policies              → the compiled modules: which builtins they call, which data and input they read
    GET /v1/config                → where bundles come from, and whether decisions are logged

A decision may be remembered when equal inputs must give equal answers for as long as that first document stays the
same: no builtin that is not known as pure, no data that somebody could change outside the bundles, no policy compiled
to WebAssembly (its calls cannot be seen), a revision, and an ETag where a bundle is downloaded, because without one new
content could come under the old name. Where OPA logs decisions it is asked each time, so that its log is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from extproc.errors import DependencyError
from extproc.opa.builtins import PURE

BUNDLES_PATH: Final = "/v1/data/system/bundles"
POLICIES_PATH: Final = "/v1/policies"
CONFIG_PATH: Final = "/v1/config"

NO_REVISION: Final = "no_revision"
WASM: Final = "wasm"
NO_ETAG: Final = "no_etag"
IMPURE_BUILTIN: Final = "impure_builtin"
OUTSIDE_DATA: Final = "outside_data"
DECISION_LOG: Final = "decision_log"
UNREADABLE: Final = "unreadable"

Path = tuple[str, ...]
_LOCALS: Final = ("__local", "$")
"""How the compiler names variables (`__local3__`) and wildcards (`$0`)."""


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What follows from the policy that runs."""

    revision: str | None
    """As `Decision.policy_revision` has it; None when it has none, or is not one."""
    bypass: str | None = None
    """Why its decisions are not remembered (one of the words above); None: they may be."""
    detail: str = ""
    """For people: which builtin, which path."""
    reads: frozenset[Path] = frozenset({()})
    """Every path below `input` that a rule may read; a prefix stands for all below it."""

    def may_read(self, path: Path) -> bool:
        """Whether any rule may read this place of the input, a part of it, or what holds it."""
        return any(known[: len(path)] == path[: len(known)] for known in self.reads)


class _Manifest(msgspec.Struct, frozen=True):
    revision: str = ""
    roots: list[str] | None = None
    wasm: list[Any] = []


class _Bundle(msgspec.Struct, frozen=True):
    manifest: _Manifest = _Manifest()
    etag: str = ""


class _Bundles(msgspec.Struct, frozen=True):
    result: dict[str, _Bundle] = {}


class _Identity(msgspec.Struct, frozen=True):
    result: msgspec.Raw = msgspec.Raw(b"{}")


class _Module(msgspec.Struct, frozen=True):
    ast: dict[str, Any]


class _Policies(msgspec.Struct, frozen=True):
    result: list[_Module]


class _Source(msgspec.Struct, frozen=True):
    resource: str = ""


class _Settings(msgspec.Struct, frozen=True):
    bundles: dict[str, _Source] = {}
    decision_logs: Any = None


class _Config(msgspec.Struct, frozen=True):
    result: _Settings


def identity(bundles: bytes) -> bytes:
    """Of OPA's list of bundles what stays the same while they do: it adds an id of its own where it logs decisions.

    Raises `DependencyError` `opa_nonsense`.
    """
    try:
        return bytes(msgspec.json.decode(bundles, type=_Identity).result)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DependencyError("opa_nonsense", "OPA's list of its bundles cannot be read") from None


def examine(bundles: bytes, policies: bytes, config: bytes) -> BundleFacts:
    """The facts from OPA's three answers. What cannot be read is not remembered; nothing is raised."""
    try:
        served = msgspec.json.decode(bundles, type=_Bundles).result
        modules = [module.ast for module in msgspec.json.decode(policies, type=_Policies).result]
        settings = msgspec.json.decode(config, type=_Config).result
        seen = _Seen.of(modules)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, IndexError):
        return BundleFacts(None, UNREADABLE, "OPA's answers about its policy cannot be read")
    revision = _revision(served)
    reads = frozenset(seen.inputs)
    reason = _reason(served, settings, seen, revision)
    return BundleFacts(revision, *reason, reads) if reason else BundleFacts(revision, reads=reads)


def _revision(served: dict[str, _Bundle]) -> str | None:
    """The same words as in `Decision.policy_revision`; None unless every bundle has a revision."""
    if not served or not all(bundle.manifest.revision for bundle in served.values()):
        return None
    if len(served) == 1:
        return next(iter(served.values())).manifest.revision
    return ",".join(f"{name}={bundle.manifest.revision}" for name, bundle in sorted(served.items()))


def _reason(
    served: dict[str, _Bundle], settings: _Settings, seen: _Seen, revision: str | None
) -> tuple[str, str] | None:
    if revision is None:
        return NO_REVISION, "the policy is no bundle with a revision"
    if settings.decision_logs is not None:
        return DECISION_LOG, "OPA logs every decision"
    for name, bundle in served.items():
        if bundle.manifest.wasm:
            return WASM, f"bundle {name} is compiled to WebAssembly"
        source = settings.bundles.get(name)
        if source is not None and not bundle.etag and not source.resource.startswith("file://"):
            return NO_ETAG, f"bundle {name} is downloaded from a server that sends no ETag"
    impure = sorted(seen.calls - PURE)
    if impure:
        return IMPURE_BUILTIN, f"the policy calls {', '.join(impure[:3])}"
    roots = [_split(root) for bundle in served.values() for root in _roots(bundle)]
    for path in sorted(seen.data):
        if not any(path[: len(root)] == root for root in roots):
            return OUTSIDE_DATA, f"the policy reads data.{'.'.join(path)}, which is in no bundle"
    return None


def _roots(bundle: _Bundle) -> list[str]:
    roots = bundle.manifest.roots
    return [""] if roots is None else roots


def _split(root: str) -> Path:
    return tuple(part for part in root.split("/") if part)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What compiled modules refer to."""

    calls: set[str]
    data: set[Path]
    inputs: set[Path]

    @classmethod
    def of(cls, modules: Iterable[dict[str, Any]]) -> _Seen:
        seen = cls(set(), set(), set())
        for module in modules:
            for ref in _references(module.get("rules") or []):
                seen._add(ref)
        return seen

    def _add(self, ref: list[dict[str, Any]]) -> None:
        """A reference is a list of terms: `input.request.model` is var, string, string."""
        head = ref[0]
        if head["type"] != "var" or head["value"].startswith(_LOCALS):
            return
        path = tuple(_leading_strings(ref[1:]))
        match head["value"]:
            case "data":
                self.data.add(path)
            case "input":
                self.inputs.add(path)
            case name:  # after compilation nothing else is left that could be called or read
                self.calls.add(".".join((name, *path)))


def _leading_strings(terms: list[dict[str, Any]]) -> Iterator[str]:
    """What is constant of a path; `data.teams[x].models` is known up to `teams`."""
    for term in terms:
        if term["type"] != "string":
            return
        yield term["value"]


def _references(node: Any) -> Iterator[list[dict[str, Any]]]:
    """Every reference in a syntax tree, annotations left out; `data` and `input` alone are references to all of it."""
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            if node.get("type") == "ref":
                terms = node["value"]
                yield terms
                stack.extend(terms[1:] if terms[0]["type"] == "var" else terms)
            elif node.get("type") == "var":
                if node["value"] in ("data", "input"):
                    yield [node]
            else:
                stack.extend(value for key, value in node.items() if key != "annotations")
