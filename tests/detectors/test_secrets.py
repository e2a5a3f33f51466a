"""Hits and misses of the detectors of credentials. Every key here is made up; they are put together at run time so that
no scanner of repositories takes this file for a leak.
"""

from __future__ import annotations

import base64

import pytest

from extproc.detectors import cloud_keys, secrets, tokens
from extproc.scanner import Scanner

SCANNER = Scanner([secrets.DETECTOR, cloud_keys.DETECTOR, tokens.DETECTOR])

RANDOM = "Zq8Lw2Xv7Rk4Tn9Pb3Hs6Yd1Mf5Gj0CaUeIo"  # 36 characters, letters and digits mixed
HEX = "3f9a0c5d7e1b42868d24c6e0f1a3b597"
PEM_BODY = "\n".join([f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC{RANDOM}"] * 3)


def found(text: str) -> list[tuple[str, str]]:
    data = text.encode()
    return [(hit.entity, data[hit.start : hit.end].decode()) for hit in SCANNER.scan(data)]


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


JWT = ".".join([encoded('{"alg":"HS256","typ":"JWT"}'), encoded('{"sub":"1234567890"}'), encoded("signature bytes!")])
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{PEM_BODY}\n-----END RSA PRIVATE KEY-----"

HITS = [
    ("AWS_ACCESS_KEY", "key ", "AKIA" + "QZ3XWV7KPL2MNB6T", " ok"),
    ("AWS_ACCESS_KEY", '"', "ASIA" + "Y34FZKBOKMUTVV7A", '"'),
    ("AWS_SECRET_KEY", "aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzq8Lw2Xv7R", "\n"),
    ("AWS_SECRET_KEY", 'AWS_SECRET_ACCESS_KEY: "', "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzq8Lw2Xv7R", '"'),
    ("GITHUB_TOKEN", "token: ", "ghp_" + RANDOM, ""),
    ("GITHUB_TOKEN", "(", "ghs_" + RANDOM, ")"),
    ("GITHUB_TOKEN", "", "github_pat_" + (RANDOM * 3)[:82], ""),
    ("GITLAB_TOKEN", "", "glpat-" + RANDOM[:20], "."),
    ("SLACK_TOKEN", "", "xoxb-" + "123456789012-1234567890123-" + RANDOM[:24], ""),
    ("SLACK_WEBHOOK", "post to ", "https://hooks.slack.com/services/T024ABCDE/B024ABCDE/" + RANDOM[:24], " now"),
    ("GOOGLE_API_KEY", "?key=", "AIza" + RANDOM[:35], "&x=1"),
    ("OPENAI_API_KEY", "OPENAI_API_KEY=", "sk-" + RANDOM[:20] + "T3BlbkFJ" + RANDOM[10:30], ""),
    ("OPENAI_API_KEY", "use ", "sk-proj-" + RANDOM + "_" + RANDOM[::-1], " please"),
    ("OPENAI_API_KEY", "Bearer ", "sk-" + RANDOM + RANDOM[:12], ""),
    ("ANTHROPIC_API_KEY", "x-api-key: ", "sk-ant-api03-" + RANDOM + "-" + RANDOM[::-1] + "-" + RANDOM[:20] + "AA", ""),
    ("STRIPE_KEY", "", "sk_" + "live_" + RANDOM[:24], ""),
    ("STRIPE_KEY", "", "rk_" + "test_" + RANDOM[:24], ","),
    ("PRIVATE_KEY", "here:\n", PEM, "\nthanks"),
    ("PRIVATE_KEY", 'key = "', PEM.replace("\n", "\\n"), '"'),
    ("PRIVATE_KEY", "cut off: ", f"-----BEGIN PRIVATE KEY-----\n{PEM_BODY}", ""),
    ("PRIVATE_KEY", "", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PEM_BODY}\n-----END OPENSSH PRIVATE KEY-----", ""),
    ("JSON_WEB_TOKEN", "authorization: Bearer ", JWT, "\n"),
    ("URL_PASSWORD", "postgres://app:", "hunter2", "@db.internal:5432/app"),
    ("URL_PASSWORD", "https://bob:", "s3cr%40t!", "@example.com/x"),
    ("API_KEY", "api_key = '", RANDOM, "'"),
    ("API_KEY", '"client_secret": "', HEX, '"'),
    ("API_KEY", "X-Api-Key: ", RANDOM[:24], ""),
    ("API_KEY", "export MY_ACCESS_TOKEN=", RANDOM, ""),
]

MISSES = [
    "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "commit 2c26b46b68ffc68ff99b453c1d30413413422d70",
    "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "gpt-4o-mini-2024-07-18 claude-sonnet-4-5-20250929 text-embedding-3-large",
    "risk-based-approaches-to-something-quite-long-and-hyphenated",
    "desk-" + RANDOM + RANDOM[:12],
    "a task-" + RANDOM,
    "sk-learn-is-a-library-that-many-people-use-for-machine-learning",
    "sk-" + "a" * 48,
    "sk-" + "abcdefghijklmnopqrstuvwxyzabcdefgh",
    "gAAAAAB" + "x9Q-sk-" + RANDOM + RANDOM,  # an encrypted blob with such letters inside
    "AKIA" + "X" * 16,
    "AKIA" + "QZ3XWV7KPL2MNB6TT",  # one too long
    "TAKIA" + "QZ3XWV7KPL2MNB6T",
    "ghp_short",
    "AIza" + RANDOM[:34],
    "-----BEGIN PUBLIC KEY-----\n" + PEM_BODY + "\n-----END PUBLIC KEY-----",
    "a file that begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----",
    "look for -----BEGIN RSA PRIVATE KEY----- in it",
    "eyJhbGciOiJub3QganNvbg.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlIGJ5dGVz",
    ".".join([encoded('{"typ":"JWT","no":"algorithm"}'), encoded('{"sub":"1234567890"}'), encoded("signature")]),
    "postgres://user:password@localhost/db",
    "postgres://user:${DB_PASSWORD}@localhost/db",
    "postgres://user:<password>@localhost/db",
    "https://example.com:8443/a@b",
    "http://user@example.com/",
    "api_key = os.environ['OPENAI_API_KEY']",
    "api_key: YOUR_API_KEY_GOES_HERE_12345",
    "api_key=xxxxxxxxxxxxxxxxxxxxxxxx1",
    "api_key=${MY_API_KEY_FROM_ENV_1}",
    "access_token = get_access_token_v2(client)",
    "api_key = f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "model_api_key_name: gpt-4o-mini-2024-07-18",
    "max_tokens: 1024, token_count = 1234567890123456",
]


@pytest.mark.parametrize(("entity", "before", "secret", "after"), HITS)
def test_a_credential_is_found_exactly(entity: str, before: str, secret: str, after: str) -> None:
    assert found(before + secret + after) == [(entity, secret)]


@pytest.mark.parametrize("text", MISSES)
def test_what_only_looks_like_a_credential_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(("entity", "before", "secret", "after"), HITS)
def test_it_is_found_between_characters_of_any_script(entity: str, before: str, secret: str, after: str) -> None:
    assert found(f"größe 鍵 {before}{secret}{after} 🔑 ключ") == [(entity, secret)]


def test_a_private_key_without_an_end_is_cut_at_its_bound() -> None:
    text = b"-----BEGIN PRIVATE KEY-----\n" + b"QUJDREVGR0hJSktMTU5PUA" * 2000
    (hit,) = SCANNER.scan(text)
    assert (hit.start, hit.end) == (0, 16 * 1024)
