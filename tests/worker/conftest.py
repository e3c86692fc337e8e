"""The drivers, and the simulated Garmin they reach through the environment alone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from redis import Redis

import shared
from dev.short import SHORT
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
    monkeypatch.setattr("worker.drivers.garth.sso.OAUTH_CONSUMER", {})
    return garmin


@pytest.fixture(params=WAYS)
def way(
    request: pytest.FixtureRequest,
    reached_garmin: Simulator,
    adapter: GarminAdapter,
) -> Way:
    """One way to sign in; a test with it runs for all of them."""
    adapter.timings = replace(SHORT, garmin_answer=60.0)
    return Way(request.param, reached_garmin, adapter)


@pytest.fixture
def plain_session(adapter: GarminAdapter) -> Iterator[requests.Session]:
    """What the adapter does, without a library around it."""
    with requests.Session() as session:
        session.mount("http://", adapter)
        yield session
