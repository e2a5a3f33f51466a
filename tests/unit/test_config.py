"""`headgate.yaml` and the teams file: every fault is named with its file and field, and stops start-up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.config import Secret, load
from extproc.errors import OperatorError
from extproc.model import Mode, PrincipalSource
from extproc.teams import load_teams

EXAMPLE = Path(__file__).parents[2] / "envoy" / "headgate.yaml"


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    return loaded


def written(folder: Path, content: Any, name: str = "headgate.yaml") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(OperatorError) as caught:
        load(path)
    assert str(path) in caught.value.message
    return caught.value.message


def test_the_example_is_valid_and_its_paths_are_relative_to_it() -> None:
    settings = load(EXAMPLE)
    assert settings.policy.bundle.resolve() == EXAMPLE.parents[1] / "policies"
    assert settings.capture.archive_dir.resolve() == EXAMPLE.parents[1] / "var" / "archive"
    assert len(load_teams(settings.teams).callers()) == 4


def test_the_route_table_is_what_the_request_path_needs() -> None:
    table = load(EXAMPLE).route_table()
    enforced = {"openai", "anthropic", "gemini", "bedrock", "cohere", "azure", "mcp"}
    shadow = {"openai-shadow", "anthropic-shadow", "gemini-shadow", "bedrock-shadow"}
    assert {name for name, route in table.items() if route.mode is Mode.ENFORCE} == enforced
    assert {name for name, route in table.items() if route.mode is Mode.SHADOW} == shadow
    assert (table["openai"].host, table["openai"].prefix) == ("api.openai.com", "/openai")
    assert (table["openai"].mode, table["openai"].authentication) == (Mode.ENFORCE, PrincipalSource.API_KEY)
    assert table["openai-shadow"].authentication is PrincipalSource.PROVIDER_KEY


def test_a_path_above_the_file_is_written_without_dots(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = written(tmp_path / "a" / "b", document() | {"run_dir": "../../run"})
    assert str(load(path).run_dir) == str(tmp_path / "run")


def test_a_route_for_any_host_has_none_of_its_own(tmp_path: Path) -> None:
    settings = document()
    (shadow,) = [route for route in settings["routes"] if route["name"] == "openai-shadow"]
    shadow["match"] = {"hosts": ["*"]}
    assert load(written(tmp_path, settings)).route_table()["openai-shadow"].host == ""


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"listner": {}}, "listner", "there is no such field"),
        ({"listener": {"address": "8080"}}, "listener.address", "host:port"),
        ({"listener": {"address": "127.0.0.1:0"}}, "listener.address", "host:port"),
        ({"policy": {"bundle": "p", "deadline_ms": 1}}, "policy.deadline_ms", "greater than or equal to 5"),
        ({"limits": {"body_bytes_max": "64 MB"}}, "limits.body_bytes_max", "integer"),
        ({"limits": None}, "limits", "dictionary"),
        (
            {"providers": {"openai": {"name": "openai", "endpoint": "api.openai.com"}}},
            "providers.openai.endpoint",
            "http",
        ),
        ({"fingerprint_key": None}, "openai-shadow", "fingerprint_key"),
        ({"fingerprint_key": {"env": "A", "file": "b"}}, "fingerprint_key", "exactly one"),
        ({"version": 2}, "version", "1"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_expected(
    tmp_path: Path, change: dict[str, Any], field: str, says: str
) -> None:
    message = refusal(written(tmp_path, document() | change))
    assert field in message
    assert says in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"provider": "nobody"}, "'nobody' is not in providers"),
        ({"name": "anthropic"}, "used twice"),
        ({"name": "Has Spaces"}, "pattern"),
        ({"authentication": "none"}, "lend the provider's key to anybody"),
        ({"authentication": "jwt"}, "needs the jwt section"),
        ({"authentication": "certificate"}, "client_ca"),
        ({"mode": "shadow", "durability": "strict"}, "strict needs mode: enforce"),
        ({"mode": "shadow", "stream_usage": "ask"}, "stream_usage: ask needs mode: enforce (in shadow nothing is"),
        ({"mode": "shadow", "stream_usage": "ask_and_keep_chunk"}, "ask_and_keep_chunk needs mode: enforce"),
        ({"stream_usage": "always"}, "stream_usage"),
        ({"match": {}}, "prefix, hosts or both"),
        ({"match": {"prefix": "openai"}}, "pattern"),
        ({"mode": "of-sorts"}, "shadow"),
        ({"retries": 6}, "less than or equal to 5"),
    ],
)
def test_a_wrong_route_is_named_with_what_is_expected(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    settings = document()
    settings["routes"][0] |= change
    message = refusal(written(tmp_path, settings))
    assert "routes" in message
    assert says in message


@pytest.mark.parametrize(
    ("first", "second", "hidden"),
    [
        ({"prefix": "/x"}, {"prefix": "/x"}, True),
        ({"prefix": "/x"}, {"prefix": "/x/y"}, True),
        ({"prefix": "/x"}, {"prefix": "/xy"}, False),
        ({"prefix": "/x/y"}, {"prefix": "/x"}, False),
        ({"hosts": ["a.example"]}, {"hosts": ["A.example"]}, True),
        ({"hosts": ["a.example"]}, {"hosts": ["a.example", "b.example"]}, False),
        ({"hosts": ["a.example", "b.example"]}, {"hosts": ["b.example"]}, True),
        ({"hosts": ["a.example"]}, {"hosts": ["a.example"], "prefix": "/x"}, True),
        ({"hosts": ["*"]}, {"prefix": "/x"}, False),
        ({"hosts": ["*"]}, {"hosts": ["*"]}, True),
        ({"prefix": "/x"}, {"prefix": "/x", "hosts": ["a.example"]}, False),
    ],
)
def test_a_route_that_could_never_be_taken_is_refused(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], hidden: bool
) -> None:
    settings = document()
    route = settings["routes"][0]
    settings["routes"] = [route | {"name": "one", "match": first}, route | {"name": "two", "match": second}]
    path = written(tmp_path, settings)
    if hidden:
        assert "routes[two].match: routes[one] takes all of it already" in refusal(path)
    else:
        assert [entry.name for entry in load(path).routes] == ["one", "two"]


def test_every_fault_is_named_not_only_the_first(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, document() | {"nonsense": 1, "replica_id": "NOT VALID"}))
    assert "nonsense" in message
    assert "replica_id" in message


@pytest.mark.parametrize("text", ["a: [1", "\t- x", "just words", "[1, 2]", ""])
def test_what_is_no_mapping_or_no_yaml_is_refused_in_one_line_without_a_traceback(tmp_path: Path, text: str) -> None:
    assert "Traceback" not in refusal(written(tmp_path, text))


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    message = refusal(written(tmp_path, f"a: !!python/object/apply:os.mkdir ['{mark}']"))
    assert "YAML" in message
    assert not mark.exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "missing.yaml")


def test_a_run_folder_whose_sockets_would_not_fit_is_refused(tmp_path: Path) -> None:
    fits = "/" + "x" * (107 - len("/envoy-admin.sock") - 1)
    assert len(os.fsencode(f"{fits}/envoy-admin.sock")) == 107
    assert str(load(written(tmp_path, document() | {"run_dir": fits})).run_dir) == fits
    assert "run_dir" in refusal(written(tmp_path, document() | {"run_dir": fits + "x"}))


def test_a_secret_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", " from the environment ")
    (tmp_path / "key").write_text("from a file\n", encoding="utf-8")
    assert Secret(env="A_KEY").read() == "from the environment"
    assert Secret(file=tmp_path / "key").read() == "from a file"
    assert Secret(value="inline").read() == "inline"


def test_a_secret_that_is_not_there_is_named_by_its_place_and_never_by_its_text(tmp_path: Path) -> None:
    for secret, place in (
        (Secret(env="NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (Secret(file=tmp_path / "none"), str(tmp_path / "none")),
    ):
        with pytest.raises(OperatorError, match=place):
            secret.read()
    assert "inline" not in repr(Secret(value="inline"))


def _teams(*callers: dict[str, Any]) -> dict[str, Any]:
    return {"teams": [{"name": "a", "projects": [{"name": "p", "callers": list(callers)}]}]}


@pytest.mark.parametrize(
    ("callers", "says"),
    [
        ([{"id": "x"}], "exactly one of"),
        ([{"id": "x", "api_key": {"value": "k"}, "jwt_subject": "s"}], "exactly one of"),
        ([{"id": "x", "jwt_subject": "s"}, {"id": "x", "jwt_subject": "t"}], "id 'x' is used twice"),
        ([{"id": "x", "jwt_subject": "s"}, {"id": "y", "jwt_subject": "s"}], "jwt_subject 's' is used twice"),
        ([{"id": "x", "provider_key": "sk-a-real-key"}], "callers.0.provider_key: expected a fingerprint"),
        ([{"jwt_subject": "s"}], "callers.0.id: is missing"),
        (
            [{"id": "x", "api_key": {"value": "sk-a-real-key"}}, {"id": "y", "api_key": {"value": "sk-a-real-key"}}],
            "x and y have the same api_key",
        ),
        ([{"id": "x", "api_key": {"env": "K"}}, {"id": "y", "api_key": {"env": "K"}}], "x and y have the same api_key"),
    ],
)
def test_a_wrong_teams_file_is_named_with_what_is_expected(
    tmp_path: Path, callers: list[dict[str, Any]], says: str
) -> None:
    path = written(tmp_path, _teams(*callers), "teams.yaml")
    with pytest.raises(OperatorError, match=says) as caught:
        load_teams(path)
    assert str(path) in caught.value.message
    assert "sk-a-real-key" not in caught.value.message


def test_two_secrets_that_turn_out_to_be_one_client_key_are_refused_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "the-same-key")
    callers = [
        {"id": "x", "api_key": {"env": "A_KEY"}},
        {"id": "y", "api_key": {"value": "another-key"}},
        {"id": "z", "api_key": {"value": "the-same-key"}},
    ]
    teams = load_teams(written(tmp_path, _teams(*callers), "teams.yaml"))
    with pytest.raises(OperatorError, match="x and z have the same api_key") as caught:
        teams.client_keys()
    assert "the-same-key" not in caught.value.message
