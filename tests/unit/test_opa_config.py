"""OPA's configuration as it is rendered, and what is refused before OPA would see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.cli import main
from extproc.config import Configuration, load
from extproc.errors import OperatorError
from extproc.stack.opa_config import render_opa, to_yaml
from tests.e2e.proofs import TokenIssuer, openssl

EXAMPLE = Path(__file__).parents[2] / "envoy" / "headgate.yaml"
URL = "https://policies.example.com:8443/teams/gate/bundle.tar.gz?track=stable"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    TokenIssuer(folder, "private").create()
    openssl("rsa", "-in", "private.pem", "-pubout", "-out", "public.pem", cwd=folder)
    return folder


def written(folder: Path, **policy: Any) -> Path:
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["policy"] = policy
    document["teams"] = str(EXAMPLE.parent / "teams.yaml")
    path = folder / "headgate.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def configured(folder: Path, **policy: Any) -> Configuration:
    return load(written(folder, **policy))


def test_a_local_bundle_needs_nothing_but_a_status(tmp_path: Path) -> None:
    assert render_opa(configured(tmp_path)) == {"status": {"prometheus": True}}


def test_decisions_are_logged_to_the_standard_output_when_that_is_switched_on(tmp_path: Path) -> None:
    assert render_opa(configured(tmp_path, decision_log=True))["decision_logs"] == {"console": True}


def test_a_downloaded_bundle_is_polled_verified_and_kept(tmp_path: Path, keys: Path) -> None:
    rendered = render_opa(
        configured(
            tmp_path,
            bundle_url=URL,
            verification_key_file=str(keys / "public.pem"),
            verification_algorithm="PS256",
            bundle_token={"file": "/run/secrets/token"},
            bundle_ca_file="/etc/ca.pem",
            poll_s=3,
            state_dir="/var/lib/state",
        )
    )
    assert rendered == {
        "status": {"prometheus": True},
        "services": [
            {
                "name": "headgate",
                "url": "https://policies.example.com:8443",
                "response_header_timeout_seconds": 10,
                "credentials": {"bearer": {"token_path": "/run/secrets/token"}},
                "tls": {"ca_cert": "/etc/ca.pem"},
            }
        ],
        "keys": {"headgate": {"algorithm": "PS256", "key": (keys / "public.pem").read_text()}},
        "bundles": {
            "headgate": {
                "service": "headgate",
                "resource": "teams/gate/bundle.tar.gz?track=stable",
                "persist": True,
                "signing": {"keyid": "headgate"},
                "polling": {"min_delay_seconds": 3, "max_delay_seconds": 3},
            }
        },
        "persistence_directory": "/var/lib/state",
    }


def test_a_token_in_the_environment_is_named_and_not_copied(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLICY_TOKEN", "the-token-itself")
    signed = {"bundle_url": URL, "verification_key_file": str(keys / "public.pem")}
    text = to_yaml(render_opa(configured(tmp_path, **signed, bundle_token={"env": "POLICY_TOKEN"})))
    assert "${POLICY_TOKEN}" in text
    assert "the-token-itself" not in text


def test_a_private_key_in_place_of_the_public_one_is_refused_and_not_shown(tmp_path: Path, keys: Path) -> None:
    settings = configured(tmp_path, bundle_url=URL, verification_key_file=str(keys / "private.pem"))
    with pytest.raises(OperatorError, match="give its public half") as refused:
        render_opa(settings)
    secret = (keys / "private.pem").read_text().splitlines()[1]
    assert secret not in refused.value.message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"ssh-rsa AAAA"])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(OperatorError, match="is no PEM file"):
        render_opa(configured(tmp_path, bundle_url=URL, verification_key_file=str(tmp_path / "key")))
    (tmp_path / "key").unlink()
    with pytest.raises(OperatorError, match=r"policy.verification_key_file: .*No such file"):
        render_opa(configured(tmp_path, bundle_url=URL, verification_key_file=str(tmp_path / "key")))


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"bundle_url": URL}, "bundle_url needs verification_key_file"),
    ({"verification_key_file": "k"}, "verification_key_file is of use only with bundle_url"),
    ({"bundle_token": {"env": "X"}}, "bundle_token is of use only with bundle_url"),
    ({"bundle_ca_file": "c"}, "bundle_ca_file is of use only with bundle_url"),
    ({"bundle_url": "ftp://a/b", "verification_key_file": "k"}, "expected http"),
    ({"bundle_url": "https://a", "verification_key_file": "k"}, "expected http"),
    ({"bundle_url": "https://user:pass@a/b", "verification_key_file": "k"}, "without credentials"),
    ({"bundle_url": "http://a/b", "verification_key_file": "k", "bundle_token": {"env": "X"}}, "in clear text"),
    ({"bundle_url": URL, "verification_key_file": "k", "verification_algorithm": "HS256"}, "verification_algorithm"),
    ({"bundle_url": URL, "verification_key_file": "k", "poll_s": 0}, "poll_s"),
    ({"memo_bytes_max": -1}, "memo_bytes_max"),
    ({"memo_entries_max": 0}, "memo_entries_max"),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "says"), INVALID, ids=[says for _, says in INVALID])
def test_settings_that_would_weaken_delivery_stop_the_start(tmp_path: Path, policy: dict[str, Any], says: str) -> None:
    with pytest.raises(OperatorError, match=says) as refused:
        configured(tmp_path, **policy)
    assert "user:pass" not in refused.value.message


def test_the_command_writes_a_file_that_only_its_owner_can_read(tmp_path: Path, keys: Path) -> None:
    config = written(tmp_path, bundle_url=URL, verification_key_file=str(keys / "public.pem"))
    out = tmp_path / "opa.yaml"
    assert main(["opa-config", "--config", str(config), "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(out.read_text()) == render_opa(load(config))


def test_the_command_signs_a_bundle_and_says_which_key_is_missing(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "main.rego").write_text("package headgate.main\n\ndecision := 1\n")
    build = ["policy", "bundle", "--policies", str(tmp_path / "p"), "--out", str(tmp_path / "b.tar.gz")]
    assert main([*build, "--sign-key", str(tmp_path / "none.pem")]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert not (tmp_path / "b.tar.gz").exists()
    assert main([*build, "--sign-key", str(keys / "private.pem")]) == 0
