"""The worker's connection to a broker that has no memory left: it waits, and loses nothing."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery
from kombu import Connection
from kombu.exceptions import KombuError
from kombu.transport import TRANSPORT_ALIASES
from redis import Redis

from dev.servers import RedisServer
from dev.short import SHORT
from tests.shared.samples import nobody_answers, nothing_listens
from worker.broker import ReconnectingTransport
from worker.celery_app import celery_app

PATIENCE = 60


@pytest.fixture
def redis(real_redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(real_redis_url) as redis:
        yield redis
        redis.config_set("maxmemory", "0")


@pytest.fixture
def broker(real_redis_url: str) -> Iterator[Connection]:
    with Connection(real_redis_url, transport=ReconnectingTransport) as connection:
        yield connection


@contextmanager
def full(redis: Redis) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        redis.config_set("maxmemory", "1")
        try:
            yield pool
        finally:
            redis.config_set("maxmemory", "0")


def still_waits(work: Future[None]) -> bool:
    with pytest.raises(TimeoutError):
        work.result(timeout=2.5)
    return True


def test_a_message_is_sent_once_there_is_memory_again(broker: Connection, redis: Redis) -> None:
    queue = broker.SimpleQueue("tests")
    with full(redis) as pool:
        sending = pool.submit(queue.put, "a job")
        assert still_waits(sending)
    sending.result(timeout=PATIENCE)
    assert queue.get(timeout=PATIENCE).payload == "a job"
    queue.close()


def test_a_message_that_can_only_be_taken_out_is_not_lost(broker: Connection, redis: Redis) -> None:
    """What is taken out of a queue is written down elsewhere, for which there is no memory."""
    queue = broker.SimpleQueue("tests")
    queue.put("a job")
    with full(redis) as pool:
        taking = pool.submit(lambda: queue.get(timeout=PATIENCE).ack())
        assert still_waits(taking)
    taking.result(timeout=PATIENCE)
    queue.close()


def test_a_message_is_given_back_once_there_is_memory_again(
    broker: Connection, redis: Redis
) -> None:
    queue = broker.SimpleQueue("tests")
    queue.put("a job")
    message = queue.get(timeout=PATIENCE)
    with full(redis) as pool:
        giving_back = pool.submit(message.requeue)
        assert still_waits(giving_back)
    giving_back.result(timeout=PATIENCE)
    assert queue.get(timeout=PATIENCE).payload == "a job"
    queue.close()


# A job that has to come back is sent again by the worker.


@pytest.fixture
def new_app(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Celery]:
    """Make a worker's application for a broker."""
    monkeypatch.setitem(TRANSPORT_ALIASES, "redis", "worker.broker:ReconnectingTransport")
    return lambda url: celery_app(url, replace(SHORT, redis_answer_worker=0.5))


@pytest.fixture(params=["hangs", "is away"])
def lost_broker(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "is away":
        yield f"redis://{nothing_listens()}/0"
        return
    with nobody_answers() as address:
        yield f"redis://{address}/0"


@pytest.mark.timeout(60)
def test_a_message_is_not_sent_for_ever(lost_broker: str, new_app: Callable[[str], Celery]) -> None:
    app = new_app(lost_broker)
    started = time.monotonic()
    with pytest.raises((KombuError, OSError)):
        app.send_task("garmin.login", args=["a job"])
    assert time.monotonic() - started < 5


@pytest.mark.timeout(60)
def test_a_broker_that_begins_to_hang_is_not_waited_for(
    tmp_path: Path, new_app: Callable[[str], Celery]
) -> None:
    with RedisServer(tmp_path) as server:
        app = new_app(server.wait_ready().url)
        app.send_task("garmin.login", args=["a job"])
        server.signal(signal.SIGSTOP)
        started = time.monotonic()
        try:
            with pytest.raises((KombuError, OSError)):
                app.send_task("garmin.login", args=["another job"])
            assert time.monotonic() - started < 5
        finally:
            server.signal(signal.SIGCONT)
