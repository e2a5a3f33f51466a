"""One stack for the tests of a file: each test leaves it whole again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fault.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def whole(gateway: Gateway) -> Gateway:
    """The stack with all its processes running."""
    assert set(gateway.stack.pids) == {"upstream", "opa", "extproc", "capture", "envoy"}
    return gateway
