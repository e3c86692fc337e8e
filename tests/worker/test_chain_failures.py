"""Drivers that can't work, a Redis that does not answer, and the bound on password posts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers import RedisServer
from shared.errors import (
    ClientRefusedError,
    DriverFailedError,
    GarminUnavailableError,
    GarminUnreachableError,
    InvalidCredentialsError,
    JobLostError,
    PasswordSpentError,
    RefusalScope,
    ServiceUnavailableError,
)
from shared.redis.connection import connect
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.cooldowns import refuse
from tests.logs import captured_logs
from tests.shared.samples import nothing_listens
from tests.worker.scripted import Chain, ScriptedDriver, about

ACCOUNT, CLIENT = RefusalScope.ACCOUNT, RefusalScope.CLIENT


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    with RedisServer(tmp_path) as server:
        assert isinstance(server, RedisServer)
        yield server


def test_a_driver_that_failed_is_followed_by_the_next(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error, first.posts = DriverFailedError(), ()
    assert chain.driver() == "garminconnect"
    assert cooldowns.remaining("garth", "anna") == 0
    second.error, second.posts = DriverFailedError(), ()
    with pytest.raises(GarminUnavailableError):
        chain.sign_in()
    second.error = ClientRefusedError(300)
    assert about(300, chain.limited())


def test_a_driver_that_gets_no_usable_answer_before_the_password_is_followed_by_the_next(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error, first.posts = GarminUnavailableError(50), ()
    assert chain.driver() == "garminconnect"
    assert cooldowns.remaining("garth", "anna") == 0
    refuse(cooldowns, "garminconnect")
    with pytest.raises(GarminUnavailableError) as caught:
        chain.sign_in()
    assert caught.value.retry_after == 50  # and not the longer rest of the other one


def test_a_garmin_that_cannot_be_reached_is_not_tried_with_every_driver(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error, first.posts = GarminUnreachableError(), ()
    with pytest.raises(GarminUnreachableError):
        chain.sign_in()
    assert second.calls == []


def test_an_unforeseen_error_before_the_password_is_a_driver_that_failed(
    chain: Chain, first: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error, first.posts = ZeroDivisionError("ticket ST-1"), ()
    with captured_logs() as log:
        assert chain.driver() == "garminconnect"
    assert cooldowns.remaining("garth", "anna") == 0
    assert "driver garth can't sign in: " in log.getvalue()
    assert "ZeroDivisionError at" in log.getvalue()
    assert "scripted.py" in log.getvalue()
    assert "ST-1" not in log.getvalue()


@pytest.mark.parametrize("error", [ZeroDivisionError(), DriverFailedError()])
def test_an_unforeseen_error_after_the_password_ends_the_job(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, error: Exception
) -> None:
    first.error = error
    expected = ZeroDivisionError if isinstance(error, ZeroDivisionError) else GarminUnavailableError
    with pytest.raises(expected):
        chain.sign_in()
    assert second.calls == []


def test_an_unforeseen_error_of_the_second_driver_does_not_hide_the_first_ones_refusal(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error = ClientRefusedError(500)
    second.error, second.posts = ZeroDivisionError(), ()
    assert about(500, chain.limited())


def test_a_driver_posts_the_password_once_by_each_way_in(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.posts = ("mobile", "mobile")
    with pytest.raises(PasswordSpentError):
        chain.sign_in()
    assert second.calls == []


def test_a_password_is_posted_twice_by_a_driver_and_three_times_in_all(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error, second.error = ClientRefusedError(500), ClientRefusedError(500)
    second.posts = ("mobile", "widget")
    chain.limited("anna")
    for driver, posts in ((first, ("mobile", "widget")), (second, ("a", "b", "c"))):
        driver.posts = posts
        with pytest.raises(PasswordSpentError):
            chain.sign_in("bob" if driver is first else "carl")
        driver.posts = ("mobile",)


def test_a_job_that_is_run_again_does_not_post_as_if_it_were_new(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    """Its first worker died, after it had posted the password and before Garmin's verdict."""
    for _ in range(2):
        first.error = JobLostError()
        with pytest.raises(JobLostError):
            chain.sign_in(job_id="job")
    with pytest.raises(PasswordSpentError):
        chain.sign_in(job_id="job")
    assert first.calls == ["sign_in"] * 2
    first.error = None
    assert chain.driver(job_id="another") == "garth"


def test_without_redis_no_password_is_sent(first: ScriptedDriver) -> None:
    url = f"redis://{nothing_listens()}/0"
    with connect(url, timeout=5) as redis, pytest.raises(ServiceUnavailableError):
        Chain(redis, [first]).sign_in()
    assert first.calls == []


@pytest.mark.parametrize("error", [None, InvalidCredentialsError(), ClientRefusedError(500)])
def test_what_garmin_said_is_not_lost_when_redis_stops_answering(
    first: ScriptedDriver, second: ScriptedDriver, own_redis: RedisServer, error: Exception | None
) -> None:
    class Last(ScriptedDriver):
        def _record(self, what: str) -> None:
            own_redis.stop()
            super()._record(what)

    with connect(own_redis.url, timeout=5) as redis:
        chain = Chain(redis, [Last("garth", error), second])
        if error is None:
            assert chain.driver() == "garth"
        elif isinstance(error, ClientRefusedError):
            assert about(500, chain.limited())
        else:
            with pytest.raises(type(error)):
                chain.sign_in()
    assert second.calls == []
