from collections.abc import Iterator

import pytest

from fittrack_auth_client import transport
from tests.client.stand_in import StandIn


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn().running() as stand_in:
        yield stand_in
    assert stand_in.unexpected == []


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited before each request: it does not."""
    seconds: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", seconds.append)
    return seconds
