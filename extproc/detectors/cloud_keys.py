"""Keys of the large clouds and of those model providers whose keys need more than a prefix and entropy to be told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from extproc.recogniser import (
    Check,
    Entity,
    PatternDetector,
    Recogniser,
    Span,
    always,
    entropy_bits,
    token_end,
    token_start,
    whole_token,
)

_ASSIGNED: Final = r"[a-z0-9_. -]{0,24}[\"'`]?[ \t]{0,4}(?:=|:|=>|:=|,|\bis\b)[ \t]{0,4}(?:bearer )?[\"'`]?"
"""Between a telling name and its value."""


def _random_key(text: bytes, start: int, end: int) -> Iterable[Span]:
    """`sk-…`: also the beginning of hyphenated words, so the rest must look random: digits, letters, entropy."""
    if not (token_start(text, start) and token_end(text, end)):
        return ()
    value = text[start + 3 : end]
    if b"T3BlbkFJ" in value:  # "OpenAI" in base64, in every key it issues
        return ((start, end, 0.98),)
    letters = sum(c > 0x40 for c in value)
    if entropy_bits(value) < 3.4 or letters == len(value) or letters < 4:
        return ()
    return ((start, end, 0.9),)


def _access_key(text: bytes, start: int, end: int) -> Iterable[Span]:
    """AWS' documentation ends its examples in EXAMPLE."""
    return () if text[:end].endswith(b"EXAMPLE") else whole_token(0.95, 1.5)(text, start, end)


def _signature(text: bytes, start: int, end: int) -> Iterable[Span]:
    """A shared access signature has its version (`sv`) or its end (`se`) in the same query."""
    near = text[max(0, start - 512) : end + 512]
    return ((start, end, 0.95),) if b"sv=" in near or b"se=" in near else ()


def _near(score: float, bits_min: float) -> Check:
    """A value behind its vendor's name: all of its token, random, with letters and digits."""

    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        value = text[start:end]
        if not (token_start(text, start) and token_end(text, end)) or entropy_bits(value) < bits_min:
            return ()
        return ((start, end, score),) if any(0x30 <= c <= 0x39 for c in value) and not value.isdigit() else ()

    return check


def _named(name: str, what: str, vendor: str, value: str, bytes_max: int = 128, bits: float = 3.2) -> Entity:
    """A key without a form of its own, told by its vendor's name before it."""
    return Entity(
        name,
        what,
        (
            Recogniser(
                rf"(?i)(?:{vendor}){_ASSIGNED}({value})", _near(0.92, bits), bytes_max, trigger=rf"(?i)(?:{vendor})"
            ),
        ),
        form="after its vendor's name",
    )


_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

DETECTOR: Final = PatternDetector(
    "cloud_keys",
    "secret",
    (
        Entity(
            "AWS_ACCESS_KEY",
            "AWS access key id",
            (
                Recogniser(
                    r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
                    _access_key,
                    20,
                    trigger=r"\bA(?:3T|KIA|SIA|BIA|CCA)[A-Z0-9]{8}",
                ),
            ),
            form="AKIA…, ASIA…",
        ),
        Entity(
            "AWS_SECRET_KEY",
            "AWS secret access key, after its name or beside its id",
            (
                Recogniser(
                    r"(?i)\b(?:aws[a-z0-9_ .-]{0,24}(?:secret|sk)|secret_?access_?key)[a-z0-9_ .-]{0,24}[\"']?"
                    r"\s{0,4}(?:=|:|=>|:=)\s{0,4}[\"']?([a-z0-9/+]{40})",
                    _near(0.9, 3.5),
                    40,
                    trigger=r"(?i)(?:aws[a-z0-9_ .-]{0,24}(?:secret|sk)|secret_?access_?key)",
                ),
                Recogniser(
                    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}[\s,;:|/\"']{1,8}([A-Za-z0-9/+]{40})",
                    _near(0.9, 4.0),
                    40,
                    trigger=r"\bA(?:3T|KIA|SIA|BIA|CCA)[A-Z0-9]{8}",
                ),
            ),
            form="40 characters of base64",
        ),
        Entity(
            "AWS_BEDROCK_KEY",
            "Amazon Bedrock API key",
            (
                Recogniser(r"\bABSK[A-Za-z0-9+/]{100,280}={0,2}", always(0.95), 290, trigger=r"\bABSK"),
                Recogniser(
                    r"\bbedrock-api-key-[A-Za-z0-9+/]{40,}={0,2}", always(0.95), 4096, trigger="bedrock-api-key-"
                ),
            ),
            form="ABSK…",
        ),
        Entity(
            "GOOGLE_API_KEY",
            "Google API key, OAuth client secret, access or refresh token",
            (
                Recogniser(r"\bAIza[A-Za-z0-9_-]{35}", whole_token(0.95, 3.0), 39, trigger=r"\bAIza"),
                Recogniser(r"\bGOCSPX-[A-Za-z0-9_-]{28}", whole_token(0.95, 3.0), 35, trigger=r"\bGOCSPX-"),
                Recogniser(r"\bya29\.[A-Za-z0-9_-]{50,}", whole_token(0.95, 3.5), 2048, trigger=r"\bya29\."),
                Recogniser(r"\b1//0[A-Za-z0-9_-]{40,200}", whole_token(0.9, 3.8), 210, trigger=r"\b1//0"),
                Recogniser(r"\bAQ\.Ab[A-Za-z0-9_-]{40,80}", whole_token(0.95, 3.5), 96, trigger=r"\bAQ\.Ab"),
            ),
            form="AIza…, GOCSPX-…, ya29.…",
        ),
        Entity(
            "GCP_SERVICE_ACCOUNT",
            "Google Cloud service account key file, by its key's id",
            (
                Recogniser(
                    r"\"private_key_id\\?\"\s{0,4}:\s{0,4}\\?\"([0-9a-f]{40})",
                    whole_token(0.95, 3.0),
                    40,
                    trigger="private_key_id",
                ),
            ),
            form='"private_key_id": "…"',
        ),
        Entity(
            "AZURE_CLIENT_SECRET",
            "Microsoft Entra client secret",
            (
                Recogniser(
                    r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
                    whole_token(0.95, 3.5),
                    40,
                    trigger="[0-9]Q~[A-Za-z0-9_~.-]",
                ),
            ),
            form="…8Q~…",
        ),
        Entity(
            "AZURE_STORAGE_KEY",
            "Azure storage, Service Bus, Event Hubs or Cosmos key in a connection string",
            (
                Recogniser(
                    r"(?i)account_?key[\"']?\s{0,4}[=:]\s{0,4}[\"']?([A-Za-z0-9+/]{86}==)",
                    always(0.95),
                    88,
                    trigger="(?i)account_?key",
                ),
                Recogniser(
                    r"(?i)sharedaccesskey\s{0,4}=\s{0,4}([A-Za-z0-9+/]{43}=)",
                    always(0.95),
                    44,
                    trigger="(?i)sharedaccesskey",
                ),
                Recogniser(
                    r"\b[A-Za-z0-9+/]{76}\+A(?:St|RmC?|CDb|EhS?|SbT)[A-Za-z0-9+/]{5,8}={1,2}",
                    always(0.95),
                    88,
                    trigger=r"\+A(?:St|RmC?|CDb|EhS?|SbT)[A-Za-z0-9+/]{5,8}=",
                ),
            ),
            form="AccountKey=…==",
        ),
        Entity(
            "AZURE_SAS",
            "Azure shared access signature",
            (Recogniser(r"[?&;]sig=([A-Za-z0-9%+/]{40,90}(?:%3[Dd]|=))", _signature, 96, trigger="[?&;]sig="),),
            form="?sv=…&sig=…",
        ),
        Entity(
            "AZURE_API_KEY",
            "Azure AI, OpenAI, DevOps or other service key of the new form",
            (
                Recogniser(
                    r"\b[A-Za-z0-9]{52}(?:JQQJ99|JQQJ9)[A-Za-z0-9]{8,12}(?:A[A-Za-z0-9]{3}|AZDO)[A-Za-z0-9]{4,16}",
                    whole_token(0.95, 4.0),
                    96,
                    trigger="JQQJ9",
                ),
            ),
            form="…JQQJ99…",
        ),
        Entity(
            "ANTHROPIC_API_KEY",
            "Anthropic key: API, admin, OAuth",
            (Recogniser(r"\bsk-ant-[a-z]{3,6}[0-9]{2}-[A-Za-z0-9_-]{32,128}", _random_key, 150, trigger=r"\bsk-ant-"),),
            form="sk-ant-…",
        ),
        Entity(
            "OPENAI_API_KEY",
            "OpenAI key: project, service account, admin, user (others issue keys of the same form)",
            (
                Recogniser(
                    r"\bsk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,200}",
                    _random_key,
                    220,
                    trigger=r"\bsk-(?:proj|svcacct|admin|None)-",
                ),
                Recogniser(r"\bsk-[A-Za-z0-9]{32,64}", _random_key, 68, trigger=r"\bsk-[A-Za-z0-9]{16}"),
            ),
            form="sk-…, sk-proj-…",
        ),
        _named("COHERE_API_KEY", "Cohere key", "cohere|\\bco_api", "[A-Za-z0-9]{40}"),
        _named("MISTRAL_API_KEY", "Mistral key", "mistral", "[A-Za-z0-9]{32}", bits=3.6),
        _named("DEEPSEEK_API_KEY", "DeepSeek key", "deepseek", "sk-[0-9a-z]{32}"),
        _named("HEROKU_KEY", "Heroku key of the old form", "heroku", _UUID),
        _named("CLOUDFLARE_TOKEN", "Cloudflare token", "cloudflare|\\bcf_api", "[A-Za-z0-9_-]{37,40}", bits=3.6),
        _named(
            "DATADOG_KEY",
            "Datadog API or application key",
            "datadog|\\bdd_(?:api|app)",
            "[0-9a-f]{40}|[0-9a-f]{32}",
            bits=2.8,
        ),
        _named("OKTA_TOKEN", "Okta token", "okta|ssws", "00[A-Za-z0-9_-]{40}", bits=3.6),
        _named("AUTH0_SECRET", "Auth0 client secret", "auth0", "[A-Za-z0-9_-]{64}", bits=4.0),
        _named("TWILIO_AUTH_TOKEN", "Twilio auth token", "twilio", "[0-9a-f]{32}", bits=2.8),
        _named("PAYPAL_SECRET", "PayPal client secret", "paypal|braintree", "E[A-Za-z0-9_-]{79}", bits=4.0),
        _named(
            "SNOWFLAKE_TOKEN",
            "Snowflake programmatic access token or password",
            "snowflake[a-z0-9_. -]{0,16}(?:token|password|pwd|pat)",
            "[A-Za-z0-9_.@#%^&*+-]{16,128}",
            bits=3.4,
        ),
        Entity(
            "VAULT_LEGACY_TOKEN",
            "HashiCorp Vault token of the old form",
            (Recogniser(r"\bs\.[A-Za-z0-9]{24}\b", _near(0.85, 3.6), 26),),
            form="s.…",
        ),
        _named("CISCO_MERAKI_KEY", "Cisco Meraki key", "meraki", "[0-9a-f]{40}", bits=2.8),
        _named("AIRTABLE_KEY", "Airtable key of the old form", "airtable", "key[A-Za-z0-9]{14}"),
        _named(
            "FACEBOOK_SECRET",
            "Meta app secret or app token",
            "facebook|\\bfb_",
            "[0-9]{15,16}\\|[A-Za-z0-9_-]{27}|[0-9a-f]{32}",
            bits=2.8,
        ),
    ),
)
