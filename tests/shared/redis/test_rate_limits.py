"""Limits in Redis, shared by all processes. Time is moved, not slept."""

import time
from collections.abc import Callable
from typing import cast

import pytest

from shared.errors import ServiceUnavailableError
from shared.redis.connection import Redis, connect
from shared.redis.rate_limits import RateLimit, RateLimitedError
from tests.shared.samples import at_once, keys_that_never_expire, nothing_listens


@pytest.fixture
def limit(redis: Redis) -> RateLimit:
    return RateLimit(redis, "sign-in", "3/minute;5/hour")


@pytest.fixture
def wait(redis: Redis) -> Callable[[float], None]:
    """Let so many seconds pass: what was counted was counted that much earlier."""

    def moved(seconds: float) -> None:
        for key in redis.scan_iter():
            for event in cast("list[bytes]", redis.zrange(key, 0, -1)):
                redis.zincrby(key, -seconds, event)

    return moved


def refused(limit: RateLimit, who: str = "anna") -> RateLimitedError:
    with pytest.raises(RateLimitedError) as caught:
        limit.hit(who)
    return caught.value


def test_so_many_are_let_through_and_the_next_is_not(limit: RateLimit) -> None:
    remaining = [limit.hit("anna").windows[0].remaining for _ in range(3)]
    assert remaining == [2, 1, 0]
    assert 0 < refused(limit).retry_after <= 60


def test_one_person_s_limit_is_not_another_s(limit: RateLimit) -> None:
    for _ in range(3):
        limit.hit("anna")
    limit.hit("bob")
    refused(limit)


def test_every_window_holds(limit: RateLimit, wait: Callable[[float], None]) -> None:
    for _ in range(5):
        limit.hit("anna")
        wait(25)
    wait(60)
    refusal = refused(limit)
    assert 60 < refusal.retry_after <= 3600
    assert refusal.standing.windows[1].remaining == 0


def test_a_place_is_free_again_exactly_when_it_was_told(
    limit: RateLimit, wait: Callable[[float], None]
) -> None:
    for _ in range(3):
        limit.hit("anna")
        wait(10)
    told = refused(limit).retry_after
    wait(told - 1)
    refused(limit)
    wait(1.5)
    limit.hit("anna")


def test_what_was_refused_is_not_counted(limit: RateLimit, wait: Callable[[float], None]) -> None:
    for _ in range(3):
        limit.hit("anna")
    for _ in range(20):
        refused(limit)
        wait(2)
    wait(21)
    assert limit.hit("anna").windows[1].remaining == 1


def test_a_check_counts_nothing_and_refuses_what_a_hit_would(limit: RateLimit) -> None:
    for _ in range(10):
        limit.check("anna")
    for _ in range(3):
        limit.count("anna")
    with pytest.raises(RateLimitedError):
        limit.check("anna")
    limit.count("anna")  # a failure that came after all is no error


def test_what_is_cleared_begins_anew(limit: RateLimit) -> None:
    for _ in range(3):
        limit.hit("anna")
    limit.clear("anna")
    assert limit.hit("anna").windows[0].remaining == 2


def test_an_event_with_a_name_counts_once(limit: RateLimit) -> None:
    """Whoever got no answer may ask again, and a worker may run a job again."""
    for _ in range(5):
        limit.hit("anna", "job 1")
        limit.count("anna", "job 2")
    assert limit.hit("anna", "job 3").windows[0].remaining == 0
    assert limit.hit("anna", "job 3").windows[0].remaining == 0
    refused(limit)


def test_an_event_can_be_taken_back(limit: RateLimit) -> None:
    for event in ("job 1", "job 2", "job 3"):
        limit.hit("anna", event)
    limit.forget("anna", "job 2")
    limit.forget("anna", "never counted")
    assert limit.hit("anna").windows[0].remaining == 0


def test_of_many_at_once_only_so_many_are_let_through(limit: RateLimit) -> None:
    answers = at_once(lambda _: limit.hit("anna"))
    assert len([a for a in answers if not isinstance(a, RateLimitedError)]) == 3


def test_what_is_counted_expires(limit: RateLimit, redis: Redis) -> None:
    limit.hit("anna")
    assert redis.dbsize() == 2
    assert keys_that_never_expire(redis) == []


@pytest.mark.parametrize("minutes", [-20, 20, 144_000])
def test_a_process_whose_clock_is_wrong_counts_as_the_others_do(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    limit = RateLimit(redis, "sign-in", "3/15minute")
    real = time.time
    with monkeypatch.context() as moved:
        moved.setattr("time.time", lambda: real() + minutes * 60)
        for _ in range(3):
            limit.count("anna")
    assert 0 < refused(limit).retry_after <= 900


def test_without_redis_nothing_is_allowed() -> None:
    limit = RateLimit(connect(f"redis://{nothing_listens()}", timeout=1), "sign-in", "3/minute")
    for method in (limit.hit, limit.check, limit.count, limit.clear):
        with pytest.raises(ServiceUnavailableError):
            method("anna")
