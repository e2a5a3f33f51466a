"""OPA's own configuration, from `headgate.yaml`: where its bundle comes from, how it is verified, what it logs.

policy.bundle       a folder or an archive: given to OPA on its command line, read once
policy.bundle_url   polled with ETag, verified, kept on disk; an unsigned or wrongly signed one is refused, and the
                    one before stays
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from extproc.config import Configuration, Policy
from extproc.errors import OperatorError

NAME: Final = "headgate"
"""Of the bundle, the service and the key, in OPA's configuration and status."""
ANSWER_S_MAX: Final = 10
"""A bundle server that is slower is tried again with the next poll."""
PEM_BYTES_MAX: Final = 64 * 1024


def render_opa(configuration: Configuration) -> dict[str, Any]:
    """The configuration as OPA reads it. Raises `OperatorError` for a key file that cannot be used.

    A token from a file or the environment is named, not copied: OPA reads it itself.
    """
    policy = configuration.policy
    rendered: dict[str, Any] = {"status": {"prometheus": True}}  # also makes /v1/status answer, for `headgate doctor`
    if policy.decision_log:
        rendered["decision_logs"] = {"console": True}
    if policy.bundle_url is not None:
        rendered |= _delivery(policy)
    return rendered


def to_yaml(rendered: dict[str, Any]) -> str:
    return yaml.safe_dump(rendered, sort_keys=False)


def _delivery(policy: Policy) -> dict[str, Any]:
    assert policy.bundle_url is not None
    assert policy.verification_key_file is not None, "checked by Policy"
    url = urlsplit(policy.bundle_url)
    service: dict[str, Any] = {
        "name": NAME,
        "url": f"{url.scheme}://{url.netloc}",
        "response_header_timeout_seconds": ANSWER_S_MAX,
    }
    if policy.bundle_token is not None:
        service["credentials"] = {"bearer": _token(policy)}
    if policy.bundle_ca_file is not None:
        service["tls"] = {"ca_cert": str(policy.bundle_ca_file)}
    resource = url.path.lstrip("/") + (f"?{url.query}" if url.query else "")
    return {
        "services": [service],
        "keys": {NAME: {"algorithm": policy.verification_algorithm, "key": _public_key(policy.verification_key_file)}},
        "bundles": {
            NAME: {
                "service": NAME,
                "resource": resource,
                "persist": True,
                "signing": {"keyid": NAME},
                "polling": {"min_delay_seconds": policy.poll_s, "max_delay_seconds": policy.poll_s},
            }
        },
        "persistence_directory": str(policy.state_dir),
    }


def _token(policy: Policy) -> dict[str, str]:
    secret = policy.bundle_token
    assert secret is not None
    if secret.file is not None:
        return {"token_path": str(secret.file)}
    return {"token": f"${{{secret.env}}}" if secret.env is not None else secret.read()}


def _public_key(path: Path) -> str:
    """The key's text. A private key here is a mistake that would show it to all who read OPA's configuration."""
    where = f"policy.verification_key_file: {path}"
    try:
        with path.open("rb") as file:
            text = file.read(PEM_BYTES_MAX).decode("ascii")
    except OSError as error:
        raise OperatorError("key_unreadable", f"{where}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    if "PRIVATE KEY" in text:
        raise OperatorError("key_is_private", f"{where}: is a private key: give its public half")
    if "-----BEGIN" not in text:
        raise OperatorError("key_unreadable", f"{where}: is no PEM file")
    return text
