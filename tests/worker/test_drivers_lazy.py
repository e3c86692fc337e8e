"""Libraries are imported when first needed; one that can't be makes way for the next."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dev.processes import ROOT
from shared.errors import DriverFailedError, GarminUnavailableError
from shared.garmin.types import SignedIn
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.logs import captured_logs
from tests.worker.scripted import CREDENTIALS, Chain, ScriptedDriver, pending, tokens
from tests.worker.ways import ALWAYS
from worker.drivers.driver import GarminDriver
from worker.drivers.lazy import LazyDriver

URL = "https://sso.garmin.com/?ticket=ST-1"
LIBRARIES = ("curl_cffi", "garminconnect", "worker.drivers.garth_client")
IMPORTED = f"""
import sys
from worker.drivers.http import GarminAdapter
from worker.startup import _drivers
drivers = _drivers(("garth", "garminconnect"), GarminAdapter(), None)
print(*[name for name in {LIBRARIES} if name in sys.modules])
drivers["garminconnect"].loaded()
print(*[name for name in {LIBRARIES} if name in sys.modules])
"""


def unloadable() -> GarminDriver:
    raise ImportError(URL)


def test_only_the_first_driver_is_imported_at_the_start() -> None:
    command = [sys.executable, "-c", IMPORTED]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [LIBRARIES[-1], " ".join(LIBRARIES)]


def test_a_driver_that_many_threads_need_at_once_is_loaded_once() -> None:
    loads: list[int] = []
    barrier = threading.Barrier(32)

    def load() -> GarminDriver:
        loads.append(1)
        time.sleep(0.05)
        return ScriptedDriver("garth")

    driver = LazyDriver("garth", load)

    def sign_in(_: int) -> bool:
        barrier.wait(30)
        return isinstance(driver.sign_in(CREDENTIALS, ALWAYS), SignedIn)

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(sign_in, range(32)))
    assert loads == [1]


def test_a_driver_that_cannot_be_loaded_is_followed_by_the_next(redis: Redis) -> None:
    chain = Chain(redis, [LazyDriver("garth", unloadable), ScriptedDriver("other")])
    with captured_logs("DEBUG") as log:
        assert chain.driver("anna") == "other"
    assert DriverCooldowns(redis).remaining("garth", "anna") == 0
    assert "driver garth can't be loaded" in log.getvalue()
    assert "ST-1" not in log.getvalue()


def test_a_sign_in_ends_when_no_driver_can_be_loaded(redis: Redis) -> None:
    chain = Chain(redis, [LazyDriver(name, unloadable) for name in ("garth", "garminconnect")])
    with pytest.raises(GarminUnavailableError):
        chain.sign_in()


def test_a_driver_that_cannot_be_loaded_says_nothing_of_codes_and_tokens() -> None:
    driver = LazyDriver("garth", unloadable)
    with pytest.raises(GarminUnavailableError):
        driver.finish(pending("garth"), "123456", ALWAYS)
    with pytest.raises(GarminUnavailableError):
        driver.identify(tokens("garth"), ALWAYS)
    with pytest.raises(GarminUnavailableError):
        driver.refresh(tokens("garth"), ALWAYS)


def test_a_driver_that_could_not_be_loaded_is_tried_again() -> None:
    outcomes = iter([None, ScriptedDriver("garth")])
    driver = LazyDriver("garth", lambda: next(outcomes) or unloadable())
    with pytest.raises(DriverFailedError):
        driver.sign_in(CREDENTIALS, ALWAYS)
    assert isinstance(driver.sign_in(CREDENTIALS, ALWAYS), SignedIn)
