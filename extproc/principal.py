"""Who is calling: from what Envoy proved, looked up in the teams file. Pure.

A client cannot name itself. Every proof comes from Envoy: the client id that its api_key_auth filter set (the client's
own `x-headgate-*` headers are gone before that), the verified token's `sub`, the peer certificate's URI SAN. Only on a
passthrough route without Envoy authentication is the caller known by a keyed fingerprint of the provider key that it
carries; the key itself is never kept. Who signs instead of showing a key (AWS) is known by the id of the signing key:
whoever knows that id can pretend to be its owner, to us, and is refused by the provider.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from extproc.model import Principal, PrincipalSource, Route

CLIENT_HEADER = "x-headgate-client"
"""Set by Envoy's api_key_auth filter (`forwarding.header`)."""

_SIGNED = re.compile(r"AWS4-[A-Z0-9-]+ +Credential=([A-Za-z0-9]+)/")
_KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


def fingerprint(key: str, provider_key: str) -> str:
    """Keyed fingerprint of a provider key: the first 128 bits of HMAC-SHA256 (RFC 2104), as 32 hex digits."""
    return hmac.new(key.encode(), provider_key.encode(), "sha256").hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Directory:
    """Who a proof belongs to. Look-ups never fail: an unknown proof gives an unattributed principal."""

    by_proof: Mapping[tuple[PrincipalSource, str], Principal] = field(default_factory=dict, repr=False)
    fingerprint_key: str | None = field(default=None, repr=False)

    def principal(self, source: PrincipalSource, proof: str | None) -> Principal:
        if proof is None:
            return Principal(source=PrincipalSource.NONE)
        known = self.by_proof.get((source, proof))
        if known is not None:
            return known
        return Principal(source=source, fingerprint=proof if source is PrincipalSource.PROVIDER_KEY else None)

    def identify(
        self, route: Route, headers: Mapping[str, str], attributes: Mapping[str, str], jwt_subject: str | None
    ) -> Principal:
        """The caller of one request, by the proof that the route's configuration asks for and no other."""
        match route.authentication:
            case PrincipalSource.API_KEY:
                proof = headers.get(CLIENT_HEADER)
            case PrincipalSource.JWT:
                proof = jwt_subject
            case PrincipalSource.CERTIFICATE:
                proof = attributes.get("connection.uri_san_peer_certificate")
            case PrincipalSource.PROVIDER_KEY:
                return self._owner_of_key(headers)
            case PrincipalSource.NONE:
                proof = None
        return self.principal(route.authentication, proof or None)

    def _owner_of_key(self, headers: Mapping[str, str]) -> Principal:
        """By the first key that somebody in the teams file owns: a made-up key in another header hides no caller. When
        nobody owns any, by the first key."""
        if self.fingerprint_key is None:
            return Principal(source=PrincipalSource.NONE)
        sent = [_secret(value) for name in _KEY_HEADERS if (value := headers.get(name, "").strip())]
        proofs = [fingerprint(self.fingerprint_key, secret) for secret in sent]
        owned = (proof for proof in proofs if (PrincipalSource.PROVIDER_KEY, proof) in self.by_proof)
        return self.principal(PrincipalSource.PROVIDER_KEY, next(owned, proofs[0] if proofs else None))


def _secret(value: str) -> str:
    """The key in a header's value, without the word `Bearer`; of a signed request the id of the key that signed it,
    since its signature is another each time (AWS Signature Version 4: `Credential=<access key id>/<date>/…`)."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer" and rest:
        return rest.strip()
    signed = _SIGNED.match(value)
    return signed[1] if signed is not None else value
