"""A process compares its clock with those of Redis and of the database."""

import logging
import time

import pytest

from shared.clocks import TOLERANCE, Clocks
from shared.database.engine import Database
from shared.errors import ServiceUnavailableError
from shared.redis.clock import ClockReports
from shared.redis.connection import Redis, connect
from tests.shared.samples import keys_that_never_expire, nothing_listens


class Watch:
    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def clocks(redis: Redis, database: Database, watch: Watch) -> Clocks:
    return Clocks(ClockReports(redis), database, "test", watch)


@pytest.mark.parametrize(
    ("ahead", "right"),
    [(0, True), (TOLERANCE - 5, True), (TOLERANCE + 5, False), (-TOLERANCE - 5, False)],
)
def test_a_clock_may_differ_by_half_a_minute(
    clocks: Clocks, watch: Watch, ahead: float, right: bool
) -> None:
    watch.ahead = ahead
    assert clocks.check() is right


def test_a_clock_that_becomes_wrong_and_right_again_is_logged_once_each(
    clocks: Clocks, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for ahead in (0, 8_640_000, 8_640_000, 0, 0):
        watch.ahead = ahead
        clocks.check()
    wrong, right = (record for record in caplog.records if record.name == "shared.clocks")
    assert wrong.levelno == logging.WARNING
    assert "wrong: +8640000 s from redis, +8640000 s from database" in wrong.getMessage()
    assert "right again" in right.getMessage()


def test_every_process_is_reported_with_its_newest_offset(
    clocks: Clocks, watch: Watch, redis: Redis
) -> None:
    reports = ClockReports(redis)
    for watch.ahead in (0, -100):
        time.sleep(0.002)  # reports are told apart by milliseconds
        clocks.check()
    reports.write("worker@elsewhere:1", {"redis": 0.5})
    newest = reports.newest()
    assert newest["worker@elsewhere:1", "redis"] == 0.5
    [redis_ahead, database_ahead] = [
        ahead for (process, _), ahead in newest.items() if process.startswith("test@")
    ]
    assert redis_ahead == pytest.approx(-100, abs=5)
    assert database_ahead == pytest.approx(-100, abs=5)
    assert keys_that_never_expire(redis) == []


def test_a_process_that_is_gone_is_soon_no_longer_reported(redis: Redis) -> None:
    reports = ClockReports(redis)
    reports.write("worker@gone:1", {"redis": 0.0})
    redis.zincrby("fittrack:clocks", -200_000, "worker@gone:1 redis 0.0")
    assert reports.newest() == {}
    reports.write("worker@here:1", {"redis": 0.0})
    assert redis.zcard("fittrack:clocks") == 1


def test_without_an_answer_nobody_knows(redis: Redis, database: Database) -> None:
    absent = connect(f"redis://{nothing_listens()}", timeout=1)
    with absent, pytest.raises(ServiceUnavailableError):
        Clocks(ClockReports(absent), database, "test").check()
    gone = Database(f"postgresql+psycopg://nobody@{nothing_listens()}/gone")
    with pytest.raises(ServiceUnavailableError):
        Clocks(ClockReports(redis), gone, "test").check()
    gone.close()
