"""The rendered bootstrap: what Envoy and its published types accept, and what holds for every configuration."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from extproc.config import Configuration, load
from extproc.envoy_config import RenderOptions, UpstreamAddress, render, to_yaml, validate
from extproc.errors import OperatorError
from extproc.stack.tools import find_envoy
from extproc.teams import Teams, load_teams

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "envoy" / "headgate.yaml"
PLACEHOLDERS = dict.fromkeys(
    (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
        "CO_API_KEY",
        "AZURE_OPENAI_API_KEY",
    ),
    "placeholder",
)
CA_FILE = Path("/etc/ssl/certs/ca-certificates.crt")
TEAMS = Teams.model_validate(
    {
        "teams": [
            {"name": "a", "projects": [{"name": "p", "callers": [{"id": "app", "api_key": {"value": "client-key"}}]}]}
        ]
    }
)


def example() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    return document


def configured(**changes: Any) -> Configuration:
    return Configuration.model_validate(example() | {"run_dir": "/run/headgate"} | changes)


def manager(bootstrap: dict[str, Any]) -> dict[str, Any]:
    listener = bootstrap["static_resources"]["listeners"][0]
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def routes(bootstrap: dict[str, Any]) -> list[dict[str, Any]]:
    return [route for host in manager(bootstrap)["route_config"]["virtual_hosts"] for route in host["routes"]]


def http_filter(bootstrap: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [node for node in manager(bootstrap)["http_filters"] if node["name"] == name]
    settings: dict[str, Any] = found["typed_config"]
    return settings


def test_the_example_that_is_checked_in_is_what_is_rendered() -> None:
    """`make example` renders it anew."""
    settings = load(EXAMPLE).model_copy(update={"run_dir": Path("/run/headgate")})
    rendered = to_yaml(render(settings, load_teams(settings.teams), RenderOptions(ca_file=CA_FILE)))
    assert rendered == (ROOT / "envoy" / "envoy.yaml").read_text(encoding="utf-8")


def test_the_example_names_no_path_of_the_machine_it_was_rendered_on() -> None:
    text = (ROOT / "envoy" / "envoy.yaml").read_text(encoding="utf-8")
    paths = set(re.findall(r"(?:path|filename): (/\S+)", text))
    assert {path for path in paths if not path.startswith("/run/headgate/")} == {str(CA_FILE), "/-/healthy"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_envoys_published_types_know_every_field_of_the_example() -> None:
    text = (ROOT / "envoy" / "envoy.yaml").read_text(encoding="utf-8")
    bootstrap = importlib.import_module("envoy_data_plane.envoy.config.bootstrap.v3").Bootstrap
    for package in sorted(set(re.findall(r"type\.googleapis\.com/(envoy\.[\w.]+)\.\w+", text))):
        importlib.import_module(f"envoy_data_plane.{package}")
    parsed = bootstrap.from_dict(yaml.safe_load(text))
    assert parsed.node.cluster == "headgate"
    misspelt = yaml.safe_load(text)
    manager(misspelt)["http_filters"][-2]["typed_config"]["observability_mod"] = True
    with pytest.raises(KeyError, match="observability_mod"):
        bootstrap.from_dict(misspelt)


def _variants() -> dict[str, dict[str, Any]]:
    plain = {"openai": example()["providers"]["openai"] | {"endpoint": "http://127.0.0.1:9"}}
    first, *others = example()["routes"]
    modes = {mode: [route for route in example()["routes"] if route["mode"] == mode] for mode in ("enforce", "shadow")}
    return {
        "example": {},
        "providers on plain addresses": {"providers": example()["providers"] | plain},
        "an IPv6 listener": {"listener": {"address": "[::1]:8080"}},
        "only enforced routes": {"routes": modes["enforce"]},
        "only shadow routes": {"routes": modes["shadow"]},
        "a client key beside a passed-through one": {"routes": [first | {"credentials": "passthrough"}, *others]},
        "a route for any host": {
            "routes": [*example()["routes"], modes["shadow"][0] | {"name": "rest", "match": {"hosts": ["*"]}}]
        },
        "no provider whose clients escape slashes": {"routes": example()["routes"][:2]},
        "a prefix on one host": {
            "routes": [first | {"match": {"prefix": "/openai", "hosts": ["LLM.example"]}}, *others]
        },
    }


@pytest.mark.parametrize("name", _variants())
def test_envoy_accepts_what_is_rendered(name: str, tmp_path: Path) -> None:
    configuration = configured(**_variants()[name]).model_copy(update={"run_dir": tmp_path})
    path = tmp_path / "envoy.yaml"
    path.write_text(to_yaml(render(configuration, TEAMS)), encoding="utf-8")
    validate(path, find_envoy(), PLACEHOLDERS)


def test_envoy_accepts_a_unix_socket_in_the_providers_place(tmp_path: Path) -> None:
    configuration = configured().model_copy(update={"run_dir": tmp_path})
    options = RenderOptions(upstream=UpstreamAddress(socket=tmp_path / "upstream.sock"))
    path = tmp_path / "envoy.yaml"
    path.write_text(to_yaml(render(configuration, TEAMS, options)), encoding="utf-8")
    validate(path, find_envoy(), PLACEHOLDERS)


def test_what_envoy_refuses_is_said_in_its_own_words(tmp_path: Path) -> None:
    path = tmp_path / "envoy.yaml"
    path.write_text("no_such_field: 1\n", encoding="utf-8")
    with pytest.raises(OperatorError, match="no_such_field"):
        validate(path, find_envoy())


def test_no_providers_key_stands_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "the-real-key")
    text = to_yaml(render(configured(), TEAMS))
    assert "the-real-key" not in text
    assert "environment_variable: OPENAI_API_KEY" in text


def test_a_request_waits_for_policy_and_two_inspections_and_no_longer() -> None:
    limits, policy = {"inspect_ms_max": 1000}, {"bundle": "policies", "deadline_ms": 300}
    decide = http_filter(render(configured(limits=limits, policy=policy), TEAMS), "headgate.decide")
    assert decide["message_timeout"] == "2.8s"  # 300 + 2 * 1000 + 500 ms
    assert (decide["failure_mode_allow"], decide["status_on_error"]) == (False, {"code": "ServiceUnavailable"})


def test_a_sidecar_that_answers_no_ping_is_given_up_soon_after_what_waits_for_it() -> None:
    limits, policy = {"inspect_ms_max": 1000}, {"bundle": "policies", "deadline_ms": 300}
    bootstrap = render(configured(limits=limits, policy=policy), TEAMS)
    (decide, observe) = bootstrap["static_resources"]["clusters"][-2:]
    assert (decide["name"], observe["name"]) == ("extproc-decide", "extproc-observe")
    assert _http2_of(decide) == {"connection_keepalive": {"interval": "1s", "timeout": "3.8s"}}
    assert _http2_of(observe) == {}  # in shadow nothing waits for it


def _http2_of(cluster: dict[str, Any]) -> Any:
    (options,) = cluster["typed_extension_protocol_options"].values()
    return options["explicit_http_config"]["http2_protocol_options"]


def test_the_listener_buffers_a_largest_body_and_a_mebibyte_more() -> None:
    bootstrap = render(configured(limits={"body_bytes_max": 5_000_000}), TEAMS)
    assert bootstrap["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"] == 6_048_576


def test_a_stopped_sidecar_cannot_hold_a_shadow_stream() -> None:
    (layer,) = render(configured(), TEAMS)["layered_runtime"]["layers"]
    assert layer["static_layer"] == {"envoy.reloadable_features.grpc_side_stream_flow_control": False}


def test_refusals_are_no_reason_to_try_again_but_outages_are() -> None:
    mappers = manager(render(configured(), TEAMS))["local_reply_config"]["mappers"][1:]
    useless = set()
    for mapper in mappers:
        status = re.search(r'"default_value": (\d+)', json.dumps(mapper))
        assert status is not None
        if "x-should-retry" in json.dumps(mapper.get("headers_to_add", [])):
            useless.add(int(status.group(1)))
    assert useless == {400, 401, 403, 404, 413, 431}


def test_without_a_ca_bundle_rendering_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.envoy_config.clusters.SYSTEM_CA_FILES", (Path("/nowhere/ca.crt"),))
    with pytest.raises(OperatorError, match="ca_file"):
        render(configured(), TEAMS)


_route = st.fixed_dictionaries(
    {
        "match": st.one_of(
            st.builds(lambda p: {"prefix": f"/{p}"}, st.sampled_from("abcd")),
            st.builds(lambda h: {"hosts": h}, st.lists(st.sampled_from(["a.example", "b.example", "*"]), min_size=1)),
        ),
        "provider": st.sampled_from(["openai", "anthropic"]),
        "mode": st.sampled_from(["enforce", "shadow"]),
        "credentials": st.sampled_from(["inject", "passthrough"]),
        "authentication": st.sampled_from(["api_key", "none"]),
    }
).filter(lambda route: not (route["credentials"] == "inject" and route["authentication"] == "none"))


@settings(max_examples=60, deadline=None)
@given(st.lists(_route, min_size=1, max_size=5))
def test_whatever_is_configured_an_enforced_route_is_judged_and_a_shadow_route_never_waits(
    written: list[dict[str, Any]],
) -> None:
    named = [route | {"name": f"r{number}"} for number, route in enumerate(written)]
    try:
        configuration = configured(routes=named)
    except ValidationError as error:
        assume("takes all of it already" not in str(error))
        raise
    bootstrap = render(configuration, TEAMS)
    modes = {route["name"]: route["mode"] for route in named}
    by_name = {route["name"]: route for route in named}
    assert not [
        node
        for node in manager(bootstrap)["http_filters"]
        if node["name"] == "headgate.decide" and node.get("disabled")
    ]
    for route in routes(bootstrap):
        off = {name for name, value in route.get("typed_per_filter_config", {}).items() if value.get("disabled")}
        on = {name for name, value in route.get("typed_per_filter_config", {}).items() if "config" in value}
        mode = modes.get(route["name"], "answered by Envoy")
        assert ("headgate.decide" in off) == (mode != "enforce"), route["name"]
        assert ("headgate.observe" in on) == (mode == "shadow"), route["name"]
        if mode != "answered by Envoy" and by_name[route["name"]]["authentication"] == "api_key":
            assert "envoy.filters.http.api_key_auth" not in off
        if mode != "answered by Envoy" and by_name[route["name"]]["credentials"] == "inject":
            assert {"authorization", "x-api-key"} <= set(route["request_headers_to_remove"])
            assert route["route"]["cluster"].endswith(".inject")


def test_a_route_that_names_the_host_goes_before_one_for_any() -> None:
    named = {"provider": "openai", "mode": "shadow", "credentials": "passthrough", "authentication": "none"}
    bootstrap = render(
        configured(
            routes=[
                named | {"name": "anywhere", "match": {"hosts": ["*"]}},
                named | {"name": "prefixed", "match": {"prefix": "/x"}},
                named | {"name": "here", "match": {"hosts": ["Here.example"]}},
            ]
        ),
        TEAMS,
    )
    hosts = manager(bootstrap)["route_config"]["virtual_hosts"]
    order = {host["domains"][0]: [route["name"] for route in host["routes"]] for host in hosts}
    assert order == {
        "here.example": ["healthy", "here", "prefixed", "anywhere", "unmatched"],
        "*": ["healthy", "prefixed", "anywhere", "unmatched"],
    }


def test_each_provider_is_refused_in_the_format_of_its_api() -> None:
    """The bodies that Envoy writes itself for a wrong client key, by the routes that they are for."""
    told: dict[str, Any] = {}
    for mapper in manager(render(configured(), TEAMS))["local_reply_config"]["mappers"][1:]:
        if '"default_value": 401' not in json.dumps(mapper):
            continue
        body = json.loads(mapper["body_format_override"]["text_format_source"]["inline_string"])
        named = re.findall(r"'([a-z-]+)'", json.dumps(mapper["filter"]))
        for route in named or ["any other"]:
            told[route] = (
                body,
                {header["header"]["key"]: header["header"]["value"] for header in mapper["headers_to_add"]},
            )
    assert told["anthropic"][0]["error"]["type"] == "authentication_error"
    assert told["gemini"][0]["error"]["status"] == told["gemini-shadow"][0]["error"]["status"] == "UNAUTHENTICATED"
    assert told["gemini"][0]["error"]["code"] == 401
    assert set(told["bedrock"][0]) == set(told["cohere"][0]) == {"message"}
    assert told["bedrock"][1]["x-amzn-errortype"] == "UnrecognizedClientException"
    assert (told["mcp"][0]["jsonrpc"], told["mcp"][0]["id"]) == ("2.0", None)
    assert told["any other"][0]["error"]["code"] == "unauthenticated"
    assert "azure" not in told


def test_slashes_stay_escaped_only_where_a_provider_names_models_by_them() -> None:
    def action(*names: str) -> str:
        providers = {name: example()["providers"][name] for name in names}
        kept = [route for route in example()["routes"] if route["provider"] in names]
        found: str = manager(render(configured(providers=providers, routes=kept), TEAMS))[
            "path_with_escaped_slashes_action"
        ]
        return found

    assert action("openai", "anthropic") == "REJECT_REQUEST"
    assert action("openai", "bedrock") == "KEEP_UNCHANGED"


def test_a_client_key_may_stand_wherever_its_sdk_puts_it_but_beside_a_signature() -> None:
    bootstrap = render(configured(), TEAMS)
    everywhere = [
        source["header"] for source in http_filter(bootstrap, "envoy.filters.http.api_key_auth")["key_sources"]
    ]
    assert everywhere == ["authorization", "x-api-key", "api-key", "x-goog-api-key"]
    own = {}
    for route in routes(bootstrap):
        settings = route.get("typed_per_filter_config", {}).get("envoy.filters.http.api_key_auth", {})
        if "key_sources" in settings:
            own[route["name"]] = [source["header"] for source in settings["key_sources"]]
            # A route's own settings replace the filter's: without this the key would travel on, and nobody be known.
            assert settings["forwarding"] == {"header": "x-headgate-client", "hide_credentials": True}
    assert own == {"bedrock": ["x-api-key", "authorization"], "mcp": ["x-api-key"]}
