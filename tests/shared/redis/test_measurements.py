"""What workers count and time, added up in Redis."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import ServiceUnavailableError
from shared.redis.connection import Redis, connect
from shared.redis.measurements import (
    CODES_SENT,
    GARMIN_REQUESTS,
    JOB_SECONDS,
    REFRESHES,
    MeasuredSums,
    Measurements,
)
from tests.shared.samples import keys_that_never_expire, nothing_listens


def test_the_sums_of_all_workers_are_added_up(redis: Redis) -> None:
    for _ in range(2):
        worker = Measurements()
        worker.count(CODES_SENT)
        worker.count(REFRESHES, "garth", "ok")
        worker.flush_to(redis)
        worker.count(REFRESHES, "garth", "ok")
        worker.count(REFRESHES, "garminconnect", "tokens_rejected")
        worker.flush_to(redis)
    sums = MeasuredSums(redis).read()
    assert list(sums.counted(CODES_SENT)) == [((), 2)]
    assert dict(sums.counted(REFRESHES)) == {
        ("garth", "ok"): 4,
        ("garminconnect", "tokens_rejected"): 2,
    }
    assert list(sums.counted(GARMIN_REQUESTS)) == []
    assert keys_that_never_expire(redis) == []


def test_durations_become_cumulative_buckets(redis: Redis) -> None:
    worker = Measurements()
    for seconds in (0.1, 0.25, 0.26, 7.0, 500.0):
        worker.observe(JOB_SECONDS, seconds, "login")
    worker.observe(JOB_SECONDS, 1.0, "refresh")
    worker.flush_to(redis)
    login, refresh = MeasuredSums(redis).read().timed(JOB_SECONDS)
    assert (login.labels, refresh.labels) == (("login",), ("refresh",))
    buckets = dict(login.buckets)
    assert [buckets[bound] for bound in ("0.25", "0.5", "5.0", "10.0", "120.0", "+Inf")] == [
        *(2, 3, 3, 4, 4, 5)
    ]
    assert login.seconds == pytest.approx(507.61)


def test_nothing_is_sent_where_nothing_was_counted(redis: Redis) -> None:
    Measurements().flush_to(redis)
    assert redis.keys() == []
    assert list(MeasuredSums(redis).read().counted(CODES_SENT)) == [((), 0)]


def test_what_redis_did_not_take_is_brought_later(redis: Redis) -> None:
    worker = Measurements()
    worker.count(CODES_SENT)
    with (
        connect(f"redis://{nothing_listens()}/0", timeout=1) as away,
        pytest.raises(ServiceUnavailableError),
    ):
        worker.flush_to(away)
    worker.count(CODES_SENT)
    worker.flush_to(redis)
    assert list(MeasuredSums(redis).read().counted(CODES_SENT)) == [((), 2)]


def test_threads_lose_no_count(redis: Redis) -> None:
    worker = Measurements()

    def work(_: int) -> None:
        for _ in range(200):
            worker.count(CODES_SENT)
        worker.flush_to(redis)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert list(MeasuredSums(redis).read().counted(CODES_SENT)) == [((), 1600)]
