"""Libraries are imported when they are first needed, and one that can't be is refused."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dev.processes import ROOT
from shared.errors import ClientRefusedError, GarminUnavailableError
from shared.garmin.types import SignedIn
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.logs import captured_logs
from tests.worker.test_chain import CREDENTIALS, ScriptedDriver, tokens
from tests.worker.ways import ALWAYS
from worker.chain import DriverChain
from worker.drivers.driver import GarminDriver
from worker.drivers.lazy import LazyDriver

URL = "https://sso.garmin.com/?ticket=ST-1"
LIBRARIES = ("curl_cffi", "garminconnect", "garth")
IMPORTED = f"""
import sys
from shared.timings import PRODUCTION
from worker.startup import _drivers
drivers = _drivers(("garth", "garminconnect"), PRODUCTION)
print(*[name for name in {LIBRARIES} if name in sys.modules])
drivers[-1].loaded()
print(*[name for name in {LIBRARIES} if name in sys.modules])
"""


def unloadable() -> GarminDriver:
    raise ImportError(URL)


def test_only_the_first_driver_is_imported_at_the_start() -> None:
    lines = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout.splitlines()
    assert lines == ["garth", " ".join(LIBRARIES)]


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
    cooldowns = DriverCooldowns(redis)
    chain = DriverChain([LazyDriver("garth", unloadable), ScriptedDriver("other")], cooldowns)
    with captured_logs("DEBUG") as log:
        result = chain.sign_in(CREDENTIALS, ALWAYS)
    assert isinstance(result, SignedIn)
    assert result.tokens.driver == "other"
    assert cooldowns.remaining("garth") > 0
    assert "driver garth can't be loaded" in log.getvalue()
    assert "ST-1" not in log.getvalue()


def test_a_driver_that_cannot_be_loaded_says_nothing_of_tokens() -> None:
    driver = LazyDriver("garth", unloadable)
    with pytest.raises(GarminUnavailableError):
        driver.identify(tokens("garth"), ALWAYS)
    with pytest.raises(ClientRefusedError):
        driver.refresh(tokens("garth"), ALWAYS)


def test_a_driver_that_could_not_be_loaded_is_tried_again() -> None:
    outcomes = iter([None, ScriptedDriver("garth")])
    driver = LazyDriver("garth", lambda: next(outcomes) or unloadable())
    with pytest.raises(ClientRefusedError):
        driver.sign_in(CREDENTIALS, ALWAYS)
    assert isinstance(driver.sign_in(CREDENTIALS, ALWAYS), SignedIn)
