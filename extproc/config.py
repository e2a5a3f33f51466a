"""`headgate.yaml`: typed, closed (unknown fields are errors), read here and nowhere else (the teams file: `teams`).

What users write is in these pydantic models; what the request path uses (`Route`, `Limits`, `Directory`) is made from
them and is a different type. Every error names the file, the field and what is expected, and stops start-up.

Longer than other modules, because all settings are to be seen in one place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from extproc.errors import OperatorError
from extproc.hidden_routes import hidden_route
from extproc.model import Credentials, Durability, Limits, Mode, OnDiskFull, PrincipalSource, Route, StreamUsage
from extproc.placeholders import PERIOD_DAYS_DEFAULT

SOCKET_PATH_BYTES_MAX: Final = 107
"""`sun_path` of Linux's `sockaddr_un` without its terminating zero (unix(7))."""


def _resolved(value: Path, info: ValidationInfo) -> Path:
    """Relative paths are relative to the file they stand in."""
    base: Path | None = (info.context or {}).get("base")
    if base is None:
        return value
    while value.parts[:1] == ("..",):  # `base` has no symbolic link, so its parent is what `..` means
        base, value = base.parent, Path(*value.parts[1:])
    return base / value


def _from_environment(value: object) -> object:
    """`{env: NAME}` is that variable's value: what only the place where a process runs knows, like a pod's name."""
    if not isinstance(value, dict):
        return value
    name = value.get("env")
    if set(value) != {"env"} or not isinstance(name, str):
        raise ValueError("expected a name, or {env: NAME}")
    if not os.environ.get(name):
        raise ValueError(f"environment variable {name} is empty or not set")
    return os.environ[name]


_IDENTIFIER: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"
LocalPath = Annotated[Path, AfterValidator(_resolved)]
Identifier = Annotated[str, Field(pattern=_IDENTIFIER)]
PlacedIdentifier = Annotated[
    Identifier,
    BeforeValidator(_from_environment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _IDENTIFIER},
                {
                    "type": "object",
                    "properties": {"env": {"type": "string"}},
                    "required": ["env"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""An identifier, or `{env: NAME}`."""


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Secret(Settings):
    """Where a secret lies: exactly one of the three. It is read when it is needed and never printed."""

    env: str | None = Field(None, description="Name of an environment variable")
    file: LocalPath | None = Field(None, description="File that holds the secret; trailing white space is ignored")
    value: str | None = Field(None, repr=False, description="The secret itself: for examples and tests only")

    @model_validator(mode="after")
    def _one_of(self) -> Secret:
        if sum(x is not None for x in (self.env, self.file, self.value)) != 1:
            raise ValueError("give exactly one of env, file, value")
        return self

    def read(self) -> str:
        """The secret. Raises `OperatorError` naming where it should have been."""
        if self.value is not None:
            return self.value
        if self.env is not None:
            text = os.environ.get(self.env, "").strip()
            where = f"environment variable {self.env}"
        else:
            assert self.file is not None
            try:
                text = self.file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise OperatorError(
                    "secret_unreadable", f"cannot read secret file {self.file}: {error.strerror}"
                ) from None
            where = f"secret file {self.file}"
        if not text:
            raise OperatorError("secret_empty", f"{where} is empty or not set")
        return text


class ListenerTls(Settings):
    certificate: LocalPath = Field(description="PEM file: the listener's certificate, then its chain")
    private_key: LocalPath = Field(description="PEM file: the certificate's key")
    client_ca: LocalPath | None = Field(
        None, description="CA that client certificates must chain to; needed for `certificate`"
    )


class Listener(Settings):
    address: str = Field("127.0.0.1:8080", description="host:port that Envoy listens on")
    tls: ListenerTls | None = Field(None, description="Serve https; without it the listener speaks plain HTTP")
    heap_bytes_max: int = Field(
        2 * 1024 * 1024 * 1024, ge=64 * 1024 * 1024, description="Envoy's heap; near it, Envoy refuses new requests"
    )
    connections_max: int = Field(16_384, ge=1, description="Client connections, and requests per provider, at once")

    @field_validator("address")
    @classmethod
    def _host_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("expected host:port")
        return value


class ProviderCredential(Settings):
    header: str = Field(
        "authorization", pattern=r"^[a-z0-9-]+$", description="Request header that carries the provider's key"
    )
    prefix: str = Field("", description='What stands before the key in that header, e.g. "Bearer "')
    secret: Secret = Field(description="Where the provider's key lies; Envoy adds it, behind everything that records")


class Provider(Settings):
    name: str = Field(description="OTel gen_ai.provider.name: openai, anthropic, azure.ai.openai, …")
    endpoint: str = Field(description="https://host[:port] of the provider")
    credential: ProviderCredential | None = Field(None, description="Needed by routes with `credentials: inject`")
    ca_file: LocalPath | None = Field(None, description="CA bundle for an https endpoint; default: the system's")

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError("expected http(s)://host[:port]; a path goes into the clients' base URL")
        return value

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).hostname or ""


class Match(Settings):
    prefix: str = Field(
        "", pattern=r"^(/[a-z0-9._-]+)*$", description="Path prefix; Envoy takes it off before the provider sees it"
    )
    hosts: tuple[str, ...] = Field(
        (), description='Host names; empty means any. "*" means any too, and the provider is sent the client\'s own'
    )

    @model_validator(mode="after")
    def _something(self) -> Match:
        if not self.prefix and not self.hosts:
            raise ValueError("give prefix, hosts or both")
        return self


class RouteSettings(Settings):
    name: Identifier = Field(description="What rows, metrics and the access log call the route")
    match: Match = Field(description="Which requests take this route")
    provider: Identifier = Field(description="Key in `providers`")
    mode: Mode = Field(description="shadow: watch and record, change nothing. enforce: decisions bind")
    credentials: Credentials = Field(
        description="inject: Envoy adds the provider's key. passthrough: the client's own key travels on, never stored"
    )
    authentication: Literal["api_key", "jwt", "certificate", "none"] = Field(
        description="What Envoy proves the caller by. none: by the fingerprint of the provider key that it sends"
    )
    on_disk_full: OnDiskFull = Field(
        OnDiskFull.DENY,
        description="When the spool takes no more: deny (503), or pass_and_count (passes without a row, is counted). "
        "In shadow nothing is ever denied",
    )
    durability: Durability = Field(
        Durability.STANDARD,
        description="standard: frames survive any process death. strict: they are fdatasynced before the request is "
        "forwarded and before the response's last word is released",
    )
    stream_usage: StreamUsage = Field(
        StreamUsage.ESTIMATE,
        description="Streams that tell their usage only when asked (chat completions): ask, and take the extra chunk "
        "out of the answer again; ask_and_keep_chunk; or estimate, which changes nothing",
    )
    retries: int = Field(1, ge=0, le=5, description="Upstream retries by Envoy before the first response byte")
    timeout_s: float = Field(600, gt=0, description="Envoy's route timeout, whole response included")

    @model_validator(mode="after")
    def _consistent(self) -> RouteSettings:
        if self.mode is Mode.SHADOW and self.durability is Durability.STRICT:
            raise ValueError("durability: strict needs mode: enforce (in shadow nothing waits for the disk)")
        if self.mode is Mode.SHADOW and self.stream_usage is not StreamUsage.ESTIMATE:
            raise ValueError(f"stream_usage: {self.stream_usage} needs mode: enforce (in shadow nothing is changed)")
        if self.credentials is Credentials.INJECT and self.authentication == "none":
            raise ValueError("credentials: inject with authentication: none would lend the provider's key to anybody")
        return self


class Jwt(Settings):
    issuer: str = Field(description="`iss` that a token must have")
    audiences: tuple[str, ...] = Field((), description="`aud` values, one of which a token must have; empty: any")
    jwks_file: LocalPath = Field(description="JSON Web Key Set that Envoy verifies tokens with")


SigningAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"
]  # fmt: skip
"""Of RFC 7518 §3.1 those with a public key: a shared secret would let every reader of a bundle sign one."""


class Policy(Settings):
    bundle: LocalPath = Field(
        Path("policies"),
        description="Folder or bundle archive that OPA serves; with `bundle_url` only the tools use it",
    )
    bundle_url: str | None = Field(
        None, description="http(s) URL of a signed bundle that OPA polls, in place of `bundle`"
    )
    bundle_token: Secret | None = Field(None, description="Bearer token for `bundle_url`; OPA needs it, and reads it")
    bundle_ca_file: LocalPath | None = Field(
        None, description="CA bundle for an https `bundle_url`; default: the system's"
    )
    verification_key_file: LocalPath | None = Field(
        None, description="PEM file of the public key that bundles from `bundle_url` must be signed for; needed with it"
    )
    verification_algorithm: SigningAlgorithm = Field("RS256", description="Algorithm of these signatures")
    poll_s: int = Field(
        3, ge=1, le=3600, description="How often `bundle_url` is asked for a newer bundle: a freeze binds this late"
    )
    state_dir: LocalPath = Field(
        Path("policy-state"), description="Where OPA keeps the last good bundle of `bundle_url` for its next start"
    )
    decision_log: bool = Field(
        False,
        description="OPA writes every decision to its standard output, masked by the bundle's `system.log`. Nothing is "
        "remembered then, so that the log is whole",
    )
    socket: LocalPath | None = Field(None, description="OPA's Unix socket; default: run_dir/opa.sock")
    deadline_ms: int = Field(250, ge=5, le=10_000, description="After this, OPA counts as down for the exchange")
    memo_bytes_max: int = Field(
        16 * 1024 * 1024,
        ge=0,
        le=1 << 30,
        description="Decisions that one extproc remembers, inputs included. Beyond: the oldest is forgotten. 0: OPA is "
        "asked every time",
    )
    memo_entries_max: int = Field(
        20_000, ge=1, description="Decisions remembered at once. Beyond: the oldest is forgotten"
    )

    @model_validator(mode="after")
    def _delivered(self) -> Policy:
        if self.bundle_url is None:
            for name in ("bundle_token", "bundle_ca_file", "verification_key_file"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is of use only with bundle_url")
            return self
        url = urlsplit(self.bundle_url)
        if url.scheme not in ("http", "https") or not url.hostname or not url.path.strip("/") or url.username:
            raise ValueError("bundle_url: expected http(s)://host[:port]/path, without credentials")
        if self.verification_key_file is None:
            raise ValueError("bundle_url needs verification_key_file: what comes over the network must be signed")
        if self.bundle_token is not None and url.scheme == "http" and url.hostname not in ("127.0.0.1", "localhost"):
            raise ValueError("bundle_token: would travel in clear text: use an https bundle_url")
        return self


class Redaction(Settings):
    key: Secret | None = Field(
        None,
        description="Keys the placeholders: a value of a team is the same one for a period, "
        "`<EMAIL_ADDRESS_hkbdalmcpo>`. Without it all values of an entity look alike, `<EMAIL_ADDRESS>`",
    )
    period_days: int = Field(
        PERIOD_DAYS_DEFAULT,
        ge=1,
        le=3_650,
        description="After so many days, counted in UTC from 1970-01-01, every value gets another placeholder",
    )


class Detectors(Settings):
    patterns_file: LocalPath | None = Field(
        None, description="YAML file with patterns of your own, which Headgate's detectors are joined by"
    )


class LimitSettings(Settings):
    body_bytes_max: int = Field(
        64 * 1024 * 1024,
        ge=1024,
        le=1 << 30,
        description="One request body, or what is kept of one response. Beyond: a request is refused with 413 "
        "(enforce) or passes unread (shadow); content that is not kept is counted in `dropped_bytes`",
    )
    inflight_bytes_max: int = Field(
        512 * 1024 * 1024,
        ge=1024,
        description="All bodies that one extproc holds at once. Beyond: a request is refused with 503, problem "
        "`inflight_full` (enforce), or passes unread (shadow); content that is not kept is counted in `dropped_bytes`",
    )
    open_exchanges_max: int = Field(
        4096,
        ge=1,
        description="Exchanges open at once. Beyond: 503 (enforce), or passes without a row and is counted (shadow)",
    )
    decoded_ratio_max: int = Field(
        100,
        ge=1,
        description="Decoded bytes per byte of a compressed body. Beyond: problem `undecodable_content`, refused with "
        "400 (enforce)",
    )
    json_depth_max: int = Field(
        128, ge=8, le=900, description="Nesting of a JSON body. Beyond: problem `too_deep`, refused with 400 (enforce)"
    )
    findings_max: int = Field(
        10_000,
        ge=1,
        description="Findings kept per request. Beyond: only the first of each further entity is kept, and policy is "
        "told `findings_truncated`",
    )
    inspect_ms_max: int = Field(
        1_500,
        ge=10,
        description="CPU for inspecting one body. Beyond: problem `inspect_budget`, refused with 413 (enforce)",
    )
    inline_bytes_max: int = Field(64 * 1024, ge=0, description="Larger bodies are inspected in a worker process")
    workers: int = Field(1, ge=1, le=64, description="Inspection worker processes")
    drain_ms_max: int = Field(
        10_000, ge=0, description="How long SIGTERM waits for open exchanges. Beyond: they are closed as `shutdown`"
    )


class Capture(Settings):
    spool_dir: LocalPath = Field(Path("spool"), description="Crash-safe log, shared by extproc and capture")
    archive_dir: LocalPath = Field(Path("archive"), description="Parquet trees: facts/ and content/")
    segment_bytes_max: int = Field(
        64 * 1024 * 1024, ge=4096, description="Size of one file of the spool. At it: the next file is begun"
    )
    spool_bytes_max: int = Field(
        10 * 1024 * 1024 * 1024,
        ge=65536,
        description="A spool this large counts as a full disk: the route's on_disk_full answers",
    )
    sync_ms_max: int = Field(200, ge=1, description="Bound between a frame and its fdatasync with durability: standard")
    flush_interval_s: float = Field(10, gt=0, description="Rows become queryable within this time")


class Telemetry(Settings):
    metrics_address: str | None = Field("127.0.0.1:9464", description="host:port for Prometheus; null turns it off")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged")
    access_log: LocalPath | None = Field(None, description="Envoy's JSON access log; default: run_dir/access.log")


class Configuration(Settings):
    """`headgate.yaml`. Relative paths are relative to the file."""

    version: Literal[1] = Field(1, description="Version of this file's format")
    replica_id: PlacedIdentifier = Field(
        "local", description="Which replica this is, unique among those that share an archive; `{env: NAME}` reads it"
    )
    run_dir: LocalPath = Field(Path("run"), description="Unix sockets and rendered files")
    listener: Listener = Field(description="Where clients connect")
    teams: LocalPath = Field(Path("teams.yaml"), description="Who calls: teams, projects, callers, keys")
    fingerprint_key: Secret | None = Field(
        None, description="Keys the fingerprints of clients' provider keys (passthrough)"
    )
    providers: dict[Identifier, Provider] = Field(description="Who serves the models, by a name of your own")
    routes: tuple[RouteSettings, ...] = Field(description="Which requests go where, and how they are governed")
    jwt: Jwt | None = Field(None, description="Needed by routes with `authentication: jwt`")
    policy: Policy = Field(description="Where OPA finds its bundle, and how long it may take")
    redaction: Redaction = Field(description="What stands for a value that was taken out")
    detectors: Detectors = Field(description="What is looked for, beside what Headgate looks for itself")
    limits: LimitSettings = Field(description="Bounds on what one extproc holds and does")
    capture: Capture = Field(description="Spool and archive")
    telemetry: Telemetry = Field(description="Metrics and logs")

    @model_validator(mode="before")
    @classmethod
    def _sections_have_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            raise ValueError("expected a mapping of settings")  # noqa: TRY004 (pydantic wants ValueError)
        sections = ("listener", "policy", "redaction", "detectors", "limits", "capture", "telemetry")
        return {section: {} for section in sections} | data

    @model_validator(mode="after")
    def _consistent(self) -> Configuration:
        names = [route.name for route in self.routes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"routes: the name {name!r} is used twice")
        hidden = hidden_route([(route.name, route.match.hosts, route.match.prefix) for route in self.routes])
        if hidden is not None:
            raise ValueError(f"routes[{hidden[0]}].match: routes[{hidden[1]}] takes all of it already")
        for route in self.routes:
            where = f"routes[{route.name}]"
            provider = self.providers.get(route.provider)
            if provider is None:
                raise ValueError(
                    f"{where}.provider: {route.provider!r} is not in providers ({', '.join(self.providers)})"
                )
            if route.credentials is Credentials.INJECT and provider.credential is None:
                raise ValueError(f"{where}: credentials: inject needs providers.{route.provider}.credential")
            if route.authentication == "jwt" and self.jwt is None:
                raise ValueError(f"{where}: authentication: jwt needs the jwt section")
            if route.authentication == "certificate" and (
                self.listener.tls is None or self.listener.tls.client_ca is None
            ):
                raise ValueError(f"{where}: authentication: certificate needs listener.tls.client_ca")
            if route.authentication == "none" and self.fingerprint_key is None:
                raise ValueError(
                    f"{where}: authentication: none recognises callers by key fingerprint: set fingerprint_key"
                )
        for socket in (self.extproc_socket, self.opa_socket, self.admin_socket):
            if len(os.fsencode(socket)) > SOCKET_PATH_BYTES_MAX:
                raise ValueError(
                    f"run_dir: the Unix socket path {socket} is longer than {SOCKET_PATH_BYTES_MAX} bytes: "
                    "set run_dir to a shorter path"
                )
        return self

    @property
    def extproc_socket(self) -> Path:
        return self.run_dir / "extproc.sock"

    @property
    def opa_socket(self) -> Path:
        return self.policy.socket or self.run_dir / "opa.sock"

    @property
    def admin_socket(self) -> Path:
        return self.run_dir / "envoy-admin.sock"

    @property
    def access_log(self) -> Path:
        return self.telemetry.access_log or self.run_dir / "access.log"

    def route_table(self) -> Mapping[str, Route]:
        """The request path's view of the routes, by name."""
        return {
            route.name: Route(
                name=route.name,
                provider=self.providers[route.provider].name,
                # Empty: the request's own host is the destination, and is what policy and the archive see.
                host="" if "*" in route.match.hosts else self.providers[route.provider].host,
                mode=route.mode,
                credentials=route.credentials,
                authentication=PrincipalSource.PROVIDER_KEY
                if route.authentication == "none"
                else PrincipalSource(route.authentication),
                prefix=route.match.prefix,
                on_disk_full=route.on_disk_full,
                durability=route.durability,
                stream_usage=route.stream_usage,
            )
            for route in self.routes
        }

    def exchange_limits(self) -> Limits:
        return Limits(
            body_bytes_max=self.limits.body_bytes_max,
            decoded_ratio_max=self.limits.decoded_ratio_max,
            json_depth_max=self.limits.json_depth_max,
            findings_max=self.limits.findings_max,
            inspect_ms_max=self.limits.inspect_ms_max,
        )


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError("config_unreadable", f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise OperatorError("config_syntax", f"{path}{line}: not valid YAML") from None


_PLAIN_WORDS: Final = {"extra_forbidden": "there is no such field", "missing": "is missing"}
"""In place of Pydantic's words for its own kinds of error."""


def _located(path: Path, error: ValidationError) -> OperatorError:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in item["loc"])
        says = _PLAIN_WORDS.get(item["type"], item["msg"].removeprefix("Value error, "))
        lines.append(f"{path}: {where}: {says}" if where else f"{path}: {says}")
    return OperatorError("config_invalid", "\n".join(lines))


ModelT = TypeVar("ModelT", bound=Settings)


def load_settings(model: type[ModelT], path: Path) -> ModelT:
    try:
        return model.model_validate(_read_yaml(path) or {}, context={"base": path.resolve().parent})
    except ValidationError as error:
        raise _located(path, error) from None


def load(path: Path) -> Configuration:
    """Read and check `headgate.yaml`. Raises `OperatorError` with every fault, one a line: file, field, expectation."""
    return load_settings(Configuration, path)
