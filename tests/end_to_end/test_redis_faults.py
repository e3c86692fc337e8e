"""A Redis that is not as it has to be: said when the programs start, and outlived."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from dev.processes import Process
from dev.servers import RedisServer
from dev.stack import Stack
from tests.end_to_end.client import Client
from tests.end_to_end.recorders import wait_until
from tests.programs import TIMINGS


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder) as server:
        assert isinstance(server, RedisServer)
        yield server


@contextmanager
def failing_disk(server: RedisServer) -> Iterator[None]:
    """Redis refuses whatever writes, and PING as well."""
    with Redis.from_url(server.url) as redis:
        redis.config_set("save", "3600 1")
        shutil.rmtree(server.folder)
        redis.bgsave()
        wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")
        yield
        redis.config_set("stop-writes-on-bgsave-error", "no")


def _says(process: Process, text: str) -> bool:
    return text in process.output()


def test_a_redis_that_evicts_is_said_at_the_start(
    own_redis: RedisServer, frail_stack: Stack
) -> None:
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("maxmemory-policy", "volatile-lru")
    api = frail_stack.begin_api(frail_stack.port + 1)
    worker = frail_stack.begin_worker()
    for process in (api, worker):
        process.wait_ready()
        wait_until(partial(_says, process, "set noeviction"))
        assert '"level": "warning"' in process.output()


def test_a_worker_outlives_a_disk_that_fails(own_redis: RedisServer, frail_stack: Stack) -> None:
    (worker,) = frail_stack.workers
    client = Client(frail_stack.url, patience=40)
    body = {"username": "plain-ann@example.com", "password": "x"}
    with failing_disk(own_redis):
        assert client.http.post("/api/garmin/login", json=body).status_code == 503
        new = frail_stack.begin_worker()
        time.sleep(TIMINGS.visibility_timeout + 1)
        assert worker.running
        assert new.running
    assert client.login("plain-ben@example.com")["status"] == "succeeded"
    client.close()
