"""Tokens of issuers: each in the form that it is published in. All are made up and put together at run time, so that no
scanner of repositories takes this file for a leak.
"""

from __future__ import annotations

import base64

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.detectors import DETECTORS, cloud_keys, secrets, tokens
from extproc.recogniser import PatternDetector, options
from extproc.scanner import Scanner
from tests.detectors.marked import found

SCANNER = Scanner([secrets.DETECTOR, cloud_keys.DETECTOR, tokens.DETECTOR])
_MIXED = "Zq8Lw2Xv7Rk4Tn9Pb3Hs6Yd1Mf5Gj0CaUeIoBcNdSxVzAtEi"
_HEX = "3f9a0c5d7e1b42868d24c6e0f1a3b597"


def mixed(size: int) -> str:
    return (_MIXED * (size // len(_MIXED) + 1))[:size]


def hexa(size: int) -> str:
    return (_HEX * (size // len(_HEX) + 1))[:size]


UUID = "3f9a0c5d-7e1b-4286-8d24-c6e0f1a3b597"
UPPER = "Q3W8E2R7T6Y1U5I9O4P0A3S8D2F7G6H1J5K9L4"

TOKENS = {
    "GROQ_API_KEY": "gsk_" + mixed(52),
    "XAI_API_KEY": "xai-" + mixed(80),
    "OPENROUTER_API_KEY": "sk-or-v1-" + hexa(64),
    "HUGGINGFACE_TOKEN": "hf_" + mixed(34),
    "REPLICATE_TOKEN": "r8_" + mixed(37),
    "PINECONE_API_KEY": "pcsk_" + mixed(5) + "_" + mixed(63),
    "PERPLEXITY_API_KEY": "pplx-" + mixed(48),
    "CEREBRAS_API_KEY": "csk-" + mixed(48),
    "NVIDIA_API_KEY": "nvapi-" + mixed(64),
    "TOGETHER_API_KEY": "tgp_v1_" + mixed(43),
    "FIREWORKS_API_KEY": "fw_" + mixed(24),
    "ELEVENLABS_API_KEY": "sk_" + hexa(48),
    "JINA_API_KEY": "jina_" + hexa(32) + mixed(28),
    "VOYAGE_API_KEY": "pa-" + mixed(43),
    "TAVILY_API_KEY": "tvly-" + mixed(32),
    "FIRECRAWL_API_KEY": "fc-" + hexa(32),
    "LANGSMITH_API_KEY": "lsv2_pt_" + hexa(32) + "_" + hexa(10),
    "LANGFUSE_SECRET_KEY": "sk-lf-" + UUID,
    "WANDB_API_KEY": "wandb_v1_" + mixed(80),
    "GITHUB_TOKEN": "gho_" + mixed(36),
    "GITLAB_TOKEN": "GR1348941" + mixed(20),
    "ATLASSIAN_TOKEN": "ATATT3" + mixed(186),
    "NPM_TOKEN": "npm_" + mixed(36),
    "PYPI_TOKEN": "pypi-AgEIcHlwaS5vcmc" + mixed(100),
    "RUBYGEMS_API_KEY": "rubygems_" + hexa(48),
    "CRATES_IO_TOKEN": "cio" + mixed(32),
    "NUGET_API_KEY": "oy2" + mixed(43).lower(),
    "CLOJARS_TOKEN": "CLOJARS_" + mixed(60),
    "DOCKER_TOKEN": "dckr_pat_" + mixed(27),
    "ARTIFACTORY_TOKEN": "AKCp" + mixed(69),
    "POSTMAN_API_KEY": "PMAK-" + hexa(24) + "-" + hexa(34),
    "SONAR_TOKEN": "squ_" + hexa(40),
    "SOURCEGRAPH_TOKEN": "sgp_" + hexa(16) + "_" + hexa(40),
    "OPENSHIFT_TOKEN": "sha256~" + mixed(43),
    "OCTOPUS_API_KEY": "API-" + UPPER[:26],
    "BUILDKITE_TOKEN": "bkua_" + hexa(40),
    "DIGITALOCEAN_TOKEN": "dop_v1_" + hexa(64),
    "DATABRICKS_TOKEN": "dapi" + hexa(32),
    "HEROKU_API_KEY": "HRKU-AA" + mixed(58),
    "VAULT_TOKEN": "hvs." + mixed(90),
    "TERRAFORM_TOKEN": mixed(14) + ".atlasv1." + mixed(67),
    "PULUMI_TOKEN": "pul-" + hexa(40),
    "DOPPLER_TOKEN": "dp.pt." + mixed(43),
    "ONEPASSWORD_TOKEN": "ops_eyJ" + mixed(300),
    "INFRACOST_API_KEY": "ico-" + mixed(32),
    "FLY_TOKEN": "fo1_" + mixed(43),
    "NETLIFY_TOKEN": "nfp_" + mixed(36),
    "RENDER_API_KEY": "rnd_" + mixed(32),
    "VERCEL_TOKEN": "vcp_" + mixed(56),
    "SUPABASE_KEY": "sbp_" + hexa(40),
    "PLANETSCALE_TOKEN": "pscale_tkn_" + mixed(43),
    "CLOUDFLARE_KEY": "v1.0-" + hexa(24) + "-" + hexa(146),
    "ALIBABA_ACCESS_KEY": "LTAI" + mixed(20),
    "TENCENT_SECRET_ID": "AKID" + mixed(32),
    "YANDEX_API_KEY": "AQVN" + mixed(36),
    "SCALINGO_TOKEN": "tk-us-" + mixed(48),
    "PREFECT_API_KEY": "pnu_" + mixed(36),
    "NEW_RELIC_KEY": "NRAK-" + UPPER[:27],
    "NEW_RELIC_LICENSE_KEY": hexa(36) + "NRAL",
    "GRAFANA_TOKEN": "glsa_" + mixed(32) + "_" + hexa(8),
    "SENTRY_TOKEN": "sntryu_" + hexa(64),
    "DYNATRACE_TOKEN": "dt0c01." + UPPER[:24] + "." + (UPPER * 2)[:64],
    "POSTHOG_API_KEY": "phx_" + mixed(43),
    "SLACK_TOKEN": "xapp-1-A0123BCDEF4-1234567890123-" + hexa(64),
    "SENDGRID_API_KEY": "SG." + mixed(22) + "." + mixed(43),
    "MAILGUN_KEY": "key-" + hexa(32),
    "MAILGUN_SIGNING_KEY": hexa(32) + "-" + hexa(8) + "-" + hexa(8),
    "MAILCHIMP_API_KEY": hexa(32) + "-us12",
    "BREVO_API_KEY": "xkeysib-" + hexa(64) + "-" + mixed(16),
    "RESEND_API_KEY": "re_" + mixed(8) + "_" + mixed(24),
    "TWILIO_API_KEY": "SK" + hexa(32),
    "STRIPE_KEY": "whsec_" + mixed(32),
    "SQUARE_TOKEN": "sq0csp-" + mixed(43),
    "SHOPIFY_TOKEN": "shpat_" + hexa(32),
    "BRAINTREE_TOKEN": "access_token$production$" + mixed(16).lower() + "$" + hexa(32),
    "PLAID_TOKEN": "access-production-" + UUID,
    "RAZORPAY_KEY": "rzp_live_" + mixed(14),
    "EASYPOST_API_KEY": "EZAK" + mixed(54),
    "SHIPPO_TOKEN": "shippo_live_" + hexa(40),
    "DUFFEL_TOKEN": "duffel_live_" + mixed(43),
    "FLUTTERWAVE_KEY": "FLWSECK-" + hexa(32) + "-X",
    "LINEAR_API_KEY": "lin_api_" + mixed(40),
    "NOTION_TOKEN": "ntn_12345678901" + mixed(35),
    "ASANA_TOKEN": "1/1234567890123456:" + hexa(32),
    "FIGMA_TOKEN": "figd_" + mixed(40),
    "AIRTABLE_TOKEN": "pat" + mixed(14) + "." + hexa(64),
    "HUBSPOT_TOKEN": "pat-na1-" + UUID,
    "TYPEFORM_TOKEN": "tfp_" + mixed(44),
    "CONTENTFUL_TOKEN": "CFPAT-" + mixed(43),
    "README_API_KEY": "rdme_" + mixed(70),
    "ADOBE_CLIENT_SECRET": "p8e-" + mixed(32),
    "FACEBOOK_TOKEN": "EAA" + mixed(150),
    "INTRA42_SECRET": "s-s4t2ud-" + hexa(64),
    "AGE_SECRET_KEY": "AGE-SECRET-KEY-1" + ("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2)[:58],
}

CLOUD = [
    ("AWS_SECRET_KEY", "AKIA" + "QZ3XWV7KPL2MNB6T" + " ", mixed(20) + "/" + mixed(19)),
    ("AWS_BEDROCK_KEY", "", "ABSK" + mixed(120) + "="),
    ("GOOGLE_API_KEY", "secret ", "GOCSPX-" + mixed(28)),
    ("GOOGLE_API_KEY", "Bearer ", "ya29." + mixed(120)),
    ("GCP_SERVICE_ACCOUNT", '"private_key_id": "', hexa(40)),
    ("AZURE_CLIENT_SECRET", "client_secret=", "abc8Q~" + mixed(34)),
    ("AZURE_STORAGE_KEY", "DefaultEndpointsProtocol=https;AccountKey=", mixed(86) + "=="),
    ("AZURE_STORAGE_KEY", "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKey=", mixed(43) + "="),
    ("AZURE_SAS", "https://x.blob.core.windows.net/c?sv=2024-11-04&se=2027&sig=", mixed(43) + "%3D"),
    ("AZURE_API_KEY", "", mixed(52) + "JQQJ99" + mixed(10) + "ACYeBjFXJ3w3AAAB"),
    ("COHERE_API_KEY", "COHERE_API_KEY=", mixed(40)),
    ("MISTRAL_API_KEY", "mistral_key: ", mixed(32)),
    ("DEEPSEEK_API_KEY", "DEEPSEEK_API_KEY=", "sk-" + hexa(32)),
    ("HEROKU_KEY", "HEROKU_TOKEN=", UUID),
    ("CLOUDFLARE_TOKEN", "cloudflare token = ", mixed(40)),
    ("DATADOG_KEY", "DD_API_KEY=", hexa(32)),
    ("OKTA_TOKEN", "okta token: ", "00" + mixed(40)),
    ("AUTH0_SECRET", "AUTH0_SECRET=", mixed(64)),
    ("TWILIO_AUTH_TOKEN", "TWILIO_AUTH = ", hexa(32)),
    ("PAYPAL_SECRET", "paypal secret: ", "E" + mixed(79)),
    ("SNOWFLAKE_TOKEN", "SNOWFLAKE_PASSWORD=", mixed(24)),
    ("VAULT_LEGACY_TOKEN", "at ", "s." + mixed(24)),
    ("CISCO_MERAKI_KEY", "meraki: ", hexa(40)),
    ("AIRTABLE_KEY", "AIRTABLE: ", "key" + mixed(14)),
    ("FACEBOOK_SECRET", "facebook app_secret: ", hexa(32)),
    ("DISCORD_TOKEN", "token ", "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ." + mixed(27)),
    ("DISCORD_TOKEN", "", "https://discord.com/api/webhooks/123456789012345678/" + mixed(68)),
    ("TELEGRAM_TOKEN", "", "110201543:AA" + mixed(33)),
    ("BASIC_AUTH", "Authorization: Basic ", base64.b64encode(b"aladdin:op3nSesame!").decode()),
    ("BASIC_AUTH", "curl -s -u elastic:", "Tr0ub4dor"),
    ("PASSWORD", 'password = "', "Tr0ub4dor&3"),
    ("PASSWORD", "Server=db;User Id=sa;Password=", "Tr0ub4dor3x"),
    ("API_KEY", "//registry.npmjs.org/:_authToken=", mixed(36)),
]

MISSES = [
    'password = "password"',
    'password: "Enter your password"',
    'password="getPassword"',
    "password = os.environ['DB_PASSWORD']",
    'PWD: "/home/user"',
    "password=parts['password']",
    "Authorization: Basic " + base64.b64encode(b"no colon in here").decode(),
    "basic understanding of things",
    "curl -u $USER:$PASSWORD https://example.com",
    "https://x.example.com/?sig=" + mixed(43) + "%3D",
    "s." + "a" * 24,
    "110201543:AA" + "a" * 33,
    "datadog trace " + "1" * 32,
    "key-value pairs and pa-ttern matching, fc-barcelona, hf_transfer",
    "MTk4bm90IGEgbnVtYmVyIGF0.Cl2FMQ." + mixed(27),
]


@pytest.mark.parametrize(("entity", "token"), TOKENS.items(), ids=TOKENS)
@pytest.mark.parametrize(("before", "after"), [("", ""), ('{"token":"', '"}'), ("größe ", "\n"), ("x=", "&y=1")])
def test_a_token_is_found_whole_wherever_it_stands(entity: str, token: str, before: str, after: str) -> None:
    assert (entity, token) in found(SCANNER, before + token + after)


@pytest.mark.parametrize(("entity", "token"), TOKENS.items(), ids=TOKENS)
def test_a_piece_of_a_longer_token_and_a_placeholder_are_left_alone(entity: str, token: str) -> None:
    assert entity not in {name for name, _ in found(SCANNER, f"abc{token}")}
    head = len(token) - len(token.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) + 4
    assert entity not in {name for name, _ in found(SCANNER, token[:head] + "x" * (len(token) - head))}


@pytest.mark.parametrize(("entity", "before", "secret"), CLOUD)
def test_a_key_that_needs_its_surroundings_is_found_exactly(entity: str, before: str, secret: str) -> None:
    assert (entity, secret) in found(SCANNER, before + secret + ('"' if before.endswith('"') else " and more"))


@pytest.mark.parametrize("text", MISSES)
def test_what_only_looks_like_a_key_is_left_alone(text: str) -> None:
    assert found(SCANNER, text) == []


def test_every_kind_of_token_has_its_example() -> None:
    assert {note.name for note in tokens.DETECTOR.notes} == set(TOKENS)
    shown_elsewhere = {"AWS_ACCESS_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"}  # tests/detectors/test_secrets.py
    assert {note.name for note in cloud_keys.DETECTOR.notes} <= {entity for entity, _, _ in CLOUD} | shown_elsewhere


VALUES = [
    (detector, index)
    for detector in DETECTORS
    if isinstance(detector, PatternDetector)
    for index, pattern in enumerate(detector.patterns)
    if pattern.trigger != pattern.pattern
]


@pytest.mark.parametrize(("detector", "index"), VALUES, ids=lambda value: getattr(value, "name", value))
def test_the_trigger_of_a_pattern_is_in_every_text_that_holds_a_hit(detector: PatternDetector, index: int) -> None:
    """Texts are made from the pattern itself; one that its check refuses tells nothing, and is no failure."""
    pattern = detector.patterns[index]
    trigger = re2.compile(pattern.trigger.encode(), options())

    @given(st.from_regex(pattern.pattern.encode(), fullmatch=True), st.sampled_from([b"", b" ", b"bsn sin itin tfn "]))
    @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def holds(text: bytes, before: bytes) -> None:
        if any(True for _ in detector.scan(before + text, [index])):
            assert trigger.search(before + text) is not None

    holds()
