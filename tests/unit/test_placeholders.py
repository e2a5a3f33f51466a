"""Recorded addresses in which something was left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from extproc.codecs import codec_for
from extproc.commands.placeholders import named
from extproc.commands.recorded import Recorded, recordings
from tests.unit.test_recorded import ANSWERED, FILES, _write

VERTEX = "/v1/projects/{}/locations/l/publishers/google/models/gemini-2.5-flash:countTokens"
ARN = "/model/arn:aws:bedrock:us-east-1:{}:inference-profile/us.amazon.nova-lite-v1:0/converse"


@pytest.mark.parametrize(
    "left_out",
    ["<project-id>", "{project}", "${PROJECT}", "{{project}}", "[REDACTED]", "***", "%3Cscrubbed%3E", "%7Bid%7D", "<>"],
)
@pytest.mark.parametrize(("path", "api"), [(VERTEX, "gemini.count_tokens"), (ARN, "bedrock.converse")])
def test_what_was_left_out_of_a_path_does_not_hide_what_is_spoken_there(
    tmp_path: Path, left_out: str, path: str, api: str
) -> None:
    request = {"method": "POST", "path": path.format(left_out), "headers": {"host": "x.amazonaws.com"}}
    (recorded,) = recordings(_write(tmp_path / "one", request, ANSWERED, FILES))
    assert isinstance(recorded, Recorded)
    assert codec_for(recorded.call).api == api


def test_a_host_that_was_left_out_is_no_ip_address(tmp_path: Path) -> None:
    request = {"method": "POST", "url": "https://[REDACTED].openai.azure.com/openai/v1/responses"}
    (recorded,) = recordings(_write(tmp_path / "one", request, ANSWERED, FILES))
    assert isinstance(recorded, Recorded)
    assert (recorded.call.host, recorded.call.path) == ("redacted.openai.azure.com", "/openai/v1/responses")


@pytest.mark.parametrize("address", ["http://[::1]:8080/x", "/a%2e%2e/b", "/model/us%3A0/converse", "/a;b/*", "/%3C"])
def test_other_odd_addresses_stay_as_they_are(address: str) -> None:
    assert named(address) == address
