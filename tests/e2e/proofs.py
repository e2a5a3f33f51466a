"""Keys, tokens and certificates for tests, made on the spot by the openssl binary."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.e2e.gate import EXAMPLE

ISSUER: Final = "https://id.example"
AUDIENCE: Final = "headgate"


def openssl(*arguments: str, cwd: Path, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=cwd, input=stdin, check=True, capture_output=True).stdout


def base64url(data: bytes) -> str:
    """RFC 7515 §2: without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class TokenIssuer:
    """Signs tokens with RS256 (RFC 7518 §3.3)."""

    folder: Path
    name: str = "issuer"

    def create(self) -> TokenIssuer:
        openssl("genrsa", "-out", f"{self.name}.pem", "2048", cwd=self.folder)
        return self

    @property
    def jwk(self) -> dict[str, str]:
        """The public key (RFC 7517)."""
        shown = openssl("rsa", "-in", f"{self.name}.pem", "-noout", "-modulus", cwd=self.folder).decode()
        modulus = bytes.fromhex(shown.strip().partition("=")[2])
        return {
            "kty": "RSA",
            "kid": "k1",
            "alg": "RS256",
            "use": "sig",
            "n": base64url(modulus),
            "e": base64url((65537).to_bytes(3, "big")),
        }

    def token(self, subject: str | None, **claims: Any) -> str:
        standing = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600}
        if subject is not None:
            standing["sub"] = subject
        head = base64url(json.dumps({"alg": "RS256", "typ": "JWT", "kid": "k1"}).encode())
        signed = f"{head}.{base64url(json.dumps(standing | claims).encode())}"
        signature = openssl("dgst", "-sha256", "-sign", f"{self.name}.pem", cwd=self.folder, stdin=signed.encode())
        return f"{signed}.{base64url(signature)}"


def authority(folder: Path, name: str = "ca") -> None:
    """A self-signed CA: NAME.pem and NAME.key."""
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
        "-days", "2", "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=folder,
    )  # fmt: skip


def certificate(folder: Path, name: str, subject_alt_name: str, signer: str = "ca") -> None:
    """A certificate signed by a CA of `authority`: NAME.pem and NAME.key."""
    (folder / f"{name}.ext").write_text(f"subjectAltName={subject_alt_name}\n", encoding="utf-8")
    openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
        "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=folder,
    )  # fmt: skip
    openssl(
        "x509", "-req", "-in", f"{name}.csr", "-CA", f"{signer}.pem", "-CAkey", f"{signer}.key", "-CAcreateserial",
        "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem", cwd=folder,
    )  # fmt: skip


def changed_example(folder: Path, *, first_route: dict[str, Any], caller: dict[str, Any], **sections: Any) -> Path:
    """The example configuration with its first route changed, and one more caller in the search team."""
    teams = yaml.safe_load((EXAMPLE.parent / "teams.yaml").read_text(encoding="utf-8"))
    teams["teams"][0]["projects"][0]["callers"].append(caller)
    (folder / "teams.yaml").write_text(yaml.safe_dump(teams), encoding="utf-8")
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["policy"]["bundle"] = str(EXAMPLE.parents[1] / "policies")
    document["routes"][0] |= first_route
    path = folder / "headgate.yaml"
    path.write_text(yaml.safe_dump(document | sections), encoding="utf-8")
    return path
