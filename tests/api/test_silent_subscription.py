"""Long polls while their subscription to Redis is silent and all else goes on."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers import RedisServer
from tests.api.service import PATIENCE, Service, eventually, running, settings
from tests.api.silent_redis import SilentRedis


@pytest.fixture
def folder(server_folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=server_folder))


@pytest.fixture
def way(folder: Path) -> Iterator[SilentRedis]:
    redis = RedisServer(folder)
    with redis, SilentRedis(redis.port) as way:
        yield way


@pytest.fixture
def service(folder: Path, way: SilentRedis) -> Iterator[Service]:
    with running(folder, settings(way.url, folder)) as service:
        service.until_listening()
        yield service


def test_a_subscription_that_fell_silent_is_noticed_and_replaced(
    service: Service, way: SilentRedis
) -> None:
    subscribed = way.subscribed
    way.silent = True
    eventually(lambda: way.subscribed > subscribed)
    way.silent = False
    job = service.submit()
    with service.polling(job) as poll:
        service.claim(job)
        assert poll.result(PATIENCE).json()["status"] == "running"


def test_without_a_subscription_polls_read_their_jobs_themselves(
    service: Service, way: SilentRedis
) -> None:
    job = service.submit()
    with service.polling(job) as poll:
        way.silent = True
        service.claim(job)  # the API is not told
        assert poll.result(PATIENCE).json()["status"] == "running"
