"""Endpoints that have something to hear are put into their queue, once; and what is reported."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from redis import Redis as AnyRedis

from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.jobs.messages import read_message
from shared.jobs.queue import JobQueue, QueuedMessages
from shared.redis.connection import Redis, connect
from shared.redis.webhook_figures import WebhookFigures
from tests.webhook_outbox import TIMINGS, App
from worker.webhooks.dispatch import WebhookDispatcher

QUEUE = "fittrack:celery:webhooks"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def redis(real_redis_url: str) -> Iterator[Redis]:
    with connect(real_redis_url, timeout=30) as redis:
        yield redis


@pytest.fixture
def dispatcher(
    database: Database, keyring: Keyring, redis: Redis, real_redis_url: str
) -> WebhookDispatcher:
    queue = JobQueue(real_redis_url, timeout=30)
    figures = WebhookFigures(redis)
    return WebhookDispatcher(database, keyring, queue, QueuedMessages(redis), figures, TIMINGS)


def waiting(redis: AnyRedis) -> list[str]:
    return [json.loads(raw)["headers"]["id"] for raw in redis.lrange(QUEUE, 0, -1)]


def test_an_endpoint_with_something_to_hear_has_one_message_with_its_id_alone(
    dispatcher: WebhookDispatcher, database: Database, keyring: Keyring, redis: Redis
) -> None:
    app = App(database, keyring)
    endpoint_id, _ = app.add_endpoint()
    dispatcher.dispatch()
    assert waiting(redis) == []
    app.connect()
    app.connect()
    for _ in range(2):
        dispatcher.dispatch()
    assert waiting(redis) == [str(endpoint_id)]
    (raw,) = cast("list[bytes]", redis.lrange(QUEUE, 0, -1))
    assert read_message(raw)["headers"]["task"] == "webhooks.deliver"


def test_a_queue_that_no_worker_reads_does_not_grow_for_ever(
    dispatcher: WebhookDispatcher, database: Database, keyring: Keyring, redis: Redis
) -> None:
    redis.rpush(QUEUE, *(["{}"] * 1001))
    app = App(database, keyring)
    app.add_endpoint()
    app.connect()
    dispatcher.dispatch()
    assert redis.llen(QUEUE) == 1001


def test_the_wait_of_the_oldest_event_is_reported(
    dispatcher: WebhookDispatcher, database: Database, keyring: Keyring, redis: Redis
) -> None:
    assert dispatcher.figures.oldest_seconds() is None
    dispatcher.report()
    assert dispatcher.figures.oldest_seconds() == 0
    app = App(database, keyring)
    app.add_endpoint()
    app.connect()
    dispatcher.report()
    waited = dispatcher.figures.oldest_seconds()
    assert waited is not None
    assert 0 <= waited < 60
    dispatcher.figures.report_oldest(datetime.now(UTC) - timedelta(hours=1))
    assert (dispatcher.figures.oldest_seconds() or 0) > 3599


def test_tries_are_counted_by_how_they_ended(dispatcher: WebhookDispatcher) -> None:
    for result in ("delivered", "failed", "delivered"):
        dispatcher.figures.count(result)
    assert dispatcher.figures.counts() == {"delivered": 2, "failed": 1}
