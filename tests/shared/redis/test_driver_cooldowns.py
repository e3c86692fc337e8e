"""How long a driver that Garmin refused is left alone, over real Redis and over fakeredis."""

from collections.abc import Callable

import pytest

from shared.errors import ServiceUnavailableError
from shared.redis.connection import Redis, connect
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.shared.samples import at_once, keys_that_never_expire, nothing_listens

HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture
def cooldowns(redis: Redis) -> DriverCooldowns:
    return DriverCooldowns(redis)


def wake(redis: Redis, driver: str = "garth") -> None:
    """As if its rest were over."""
    assert redis.delete(f"fittrack:rest:{driver}") == 1


def about(seconds: int, found: int) -> bool:
    """A little of it may already have passed."""
    return seconds - 30 <= found <= seconds


def test_a_driver_nobody_refused_does_not_rest(cooldowns: DriverCooldowns) -> None:
    assert cooldowns.remaining("garth") == 0


@pytest.mark.parametrize("seconds", [50, 5 * HOUR, DAY])
def test_what_garmin_asks_for_is_honoured(cooldowns: DriverCooldowns, seconds: int) -> None:
    cooldowns.start("garth", seconds)
    assert about(seconds, cooldowns.remaining("garth"))


@pytest.mark.parametrize("seconds", [DAY + 1, 10 * DAY, 10**12])
def test_no_rest_is_longer_than_a_day(cooldowns: DriverCooldowns, seconds: int) -> None:
    cooldowns.start("garth", seconds)
    assert about(DAY, cooldowns.remaining("garth"))


@pytest.mark.parametrize("said", [None, 0, -5])
def test_without_a_word_from_garmin_it_is_an_hour(
    cooldowns: DriverCooldowns, said: int | None
) -> None:
    cooldowns.start("garth", said)
    assert about(HOUR, cooldowns.remaining("garth"))


def test_each_refusal_in_a_row_doubles_the_rest_up_to_a_day(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    found = []
    for _ in range(14):
        cooldowns.start("garth", None)
        found.append(cooldowns.remaining("garth"))
        wake(redis)
    expected = [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR, *[DAY] * 9]
    assert all(about(e, f) for e, f in zip(expected, found, strict=True)), found


def test_refusals_at_the_same_time_count_once(cooldowns: DriverCooldowns, redis: Redis) -> None:
    at_once(lambda _: cooldowns.start("garth", None))
    assert about(HOUR, cooldowns.remaining("garth"))
    wake(redis)
    cooldowns.start("garth", None)
    assert about(2 * HOUR, cooldowns.remaining("garth"))


def test_a_driver_that_was_let_in_begins_small_again(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    for _ in range(3):
        cooldowns.start("garth", None)
        wake(redis)
    cooldowns.reset("garth")
    cooldowns.start("garth", None)
    assert about(HOUR, cooldowns.remaining("garth"))


def test_being_let_in_does_not_end_a_rest(cooldowns: DriverCooldowns) -> None:
    """Somebody's request may have been on its way when another's was refused."""
    cooldowns.start("garth", None)
    cooldowns.reset("garth")
    assert cooldowns.remaining("garth") > 0


def test_drivers_rest_each_for_themselves(cooldowns: DriverCooldowns) -> None:
    cooldowns.start("garth", 50)
    assert cooldowns.remaining("garminconnect") == 0


def test_a_rest_that_is_nearly_over_is_not_yet_over(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    cooldowns.start("garth", 50)
    redis.pexpire("fittrack:rest:garth", 20_400)
    assert 1 <= cooldowns.remaining("garth") <= 21


def test_the_indexes_expire(cooldowns: DriverCooldowns, redis: Redis) -> None:
    cooldowns.start("garth", None)
    cooldowns.start("garminconnect", 50)
    assert len(list(redis.scan_iter())) == 4
    assert keys_that_never_expire(redis) == []


def test_without_redis_every_method_says_so() -> None:
    with connect(f"redis://{nothing_listens()}/0", timeout=5) as redis:
        cooldowns = DriverCooldowns(redis)
        calls: list[Callable[[], object]] = [
            lambda: cooldowns.start("garth", None),
            lambda: cooldowns.reset("garth"),
            lambda: cooldowns.remaining("garth"),
        ]
        for call in calls:
            with pytest.raises(ServiceUnavailableError):
                call()
