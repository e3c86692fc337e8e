import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Unpack

import pytest

from fittrack_auth_client import FitTrackAuth, tokens, transport
from tests.api.service import Service, running_alone
from tests.client.clients import Connect, Options, blocking
from tests.client.stand_in import StandIn


@pytest.fixture(scope="module")
def running_service(server_folder: Path) -> Iterator[Service]:
    with running_alone(Path(tempfile.mkdtemp(dir=server_folder))) as service:
        yield service


@pytest.fixture
def service(running_service: Service) -> Service:
    """A running API with an empty Redis."""
    running_service.redis.flushall()
    return running_service


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn().running() as stand_in:
        yield stand_in
    assert stand_in.unexpected == []


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited before each request: it does not."""
    seconds: list[float] = []

    async def record(delay: float) -> None:
        seconds.append(delay)

    # Its module's alone: threads of other tests sleep too.
    clock = SimpleNamespace(sleep=seconds.append, monotonic=time.monotonic)
    monkeypatch.setattr(transport, "time", clock)
    monkeypatch.setattr(asyncio, "sleep", record)
    return seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the client's cache of tokens, moved with `now`."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(tokens, "time", clock)
    return clock


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes a FitTrackAuth, or an AsyncFitTrackAuth that is called in the same way."""
    clients: list[FitTrackAuth] = []

    def connect(url: str, **options: Unpack[Options]) -> FitTrackAuth:
        make: Connect = FitTrackAuth if request.param == "sync" else blocking
        clients.append(make(url, **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()
