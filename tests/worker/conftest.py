"""The drivers, and the simulated Garmin they reach through the environment alone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import shared
from dev.short import SHORT
from dev.simulator import Simulator
from shared.redis.connection import Redis, connect
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.worker.scripted import Chain, ScriptedDriver
from tests.worker.ways import WAYS, OtherProcess, Way
from worker.drivers.http import GarminAdapter


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect(redis_url, timeout=30) as client:
        # fakeredis' server closes the connection after an error reply, such as NOSCRIPT.
        for script in Path(shared.__path__[0]).glob("*/lua/*.lua"):
            client.script_load(script.read_text(encoding="utf-8"))
        yield client


@pytest.fixture
def cooldowns(redis: Redis) -> DriverCooldowns:
    return DriverCooldowns(redis)


@pytest.fixture
def first() -> ScriptedDriver:
    return ScriptedDriver("garth")


@pytest.fixture
def second() -> ScriptedDriver:
    return ScriptedDriver("garminconnect")


@pytest.fixture
def chain(first: ScriptedDriver, second: ScriptedDriver, redis: Redis) -> Chain:
    return Chain(redis, [first, second])


@pytest.fixture
def adapter() -> Iterator[GarminAdapter]:
    adapter = GarminAdapter(SHORT)
    yield adapter
    adapter.close()


@pytest.fixture
def reached_garmin(garmin: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Point this process at the simulated Garmin."""
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
    """Run the test for each way to sign in."""
    adapter.timings = replace(SHORT, garmin_answer=60.0)
    return Way(request.param, reached_garmin, adapter)


@pytest.fixture(scope="session")
def other_process(running_simulator: Simulator) -> Iterator[OtherProcess]:
    """Takes over what this process began."""
    process = OtherProcess(running_simulator.environment)
    yield process
    process.stop()
