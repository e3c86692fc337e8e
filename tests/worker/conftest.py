"""The drivers, and the simulated Garmin they reach through the environment alone."""

from collections.abc import Iterator
from pathlib import Path

import garminconnect.client.sso
import pytest
import requests
from redis import Redis

import shared
from dev.simulator import Simulator
from shared.redis.connection import connect
from tests.worker.ways import WAYS, Way
from worker.drivers.http import GarminAdapter


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect(redis_url, timeout=30) as client:
        # fakeredis' server hangs up after an error reply, NOSCRIPT among them.
        for script in Path(shared.__path__[0]).glob("*/lua/*.lua"):
            client.script_load(script.read_text(encoding="utf-8"))
        yield client


@pytest.fixture
def adapter() -> Iterator[GarminAdapter]:
    adapter = GarminAdapter()
    yield adapter
    adapter.close()


@pytest.fixture
def reached_garmin(garmin: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulated Garmin, which everything in this process takes for the real one."""
    for name, value in garmin.environment.items():
        monkeypatch.setenv(name, value)
    # The library's own pauses between page and password: 2 to 8 s a sign-in.
    for flow in ("MOBILE", "WIDGET"):
        for bound in ("MIN", "MAX"):
            monkeypatch.setattr(garminconnect.client.sso, f"{flow}_DELAY_{bound}_S", 0.0)
    monkeypatch.setattr("worker.drivers.garth.sso.OAUTH_CONSUMER", {})
    return garmin


@pytest.fixture(params=WAYS)
def way(
    request: pytest.FixtureRequest,
    reached_garmin: Simulator,
    adapter: GarminAdapter,
    monkeypatch: pytest.MonkeyPatch,
) -> Way:
    """One way to sign in; a test with it runs for all of them."""
    monkeypatch.setattr("worker.drivers.http._ANSWER_SECONDS", 60.0)
    return Way(request.param, reached_garmin, adapter)


@pytest.fixture
def plain_session(adapter: GarminAdapter) -> Iterator[requests.Session]:
    """What the adapter does, without a library around it."""
    with requests.Session() as session:
        session.mount("http://", adapter)
        yield session
