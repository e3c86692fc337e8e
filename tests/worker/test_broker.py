"""The worker's connection to a broker that has no memory left: it waits, and loses nothing."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from kombu import Connection
from redis import Redis

from worker.broker import ReconnectingTransport

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
