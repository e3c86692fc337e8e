"""What is wrong with a Redis that answers is found, and logged once."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers import RedisServer
from shared.errors import ServiceUnavailableError
from shared.redis.connection import Redis, connect
from shared.redis.faults import RedisFault, RedisFaults
from tests.end_to_end.recorders import wait_until
from tests.shared.samples import nothing_listens


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as server:
        assert isinstance(server, RedisServer)
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with connect(server.url, timeout=10) as redis:
        yield redis


def test_one_that_is_as_it_has_to_be_has_none(redis: Redis) -> None:
    assert RedisFaults("redis", redis).names() == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_one_that_evicts(redis: Redis, policy: str) -> None:
    redis.config_set("maxmemory-policy", policy)
    assert RedisFaults("broker", redis).names() == ["broker_eviction"]


def test_one_without_persistence(redis: Redis) -> None:
    redis.config_set("appendonly", "no")
    faults = RedisFaults("redis", redis)
    assert faults.check() == [RedisFault.PERSISTENCE]
    redis.config_set("save", "3600 1")
    assert faults.check() == []


@pytest.mark.parametrize(("version", "old"), [("6.2.14", True), ("7.0.0", False), ("10.1", False)])
def test_one_that_is_too_old(redis: Redis, version: str, old: bool) -> None:
    redis.set_response_callback("INFO", lambda _, **__: {"redis_version": version})
    assert RedisFaults("redis", redis).check() == ([RedisFault.VERSION] if old else [])


def test_one_whose_disk_fails(server: RedisServer, redis: Redis) -> None:
    faults = RedisFaults("redis", redis)
    shutil.rmtree(server.folder)
    redis.bgsave()
    wait_until(lambda: faults.check() == [RedisFault.DISK])


def test_one_that_tells_nothing_has_none(redis: Redis) -> None:
    redis.acl_setuser(
        "app", enabled=True, nopass=True, categories=["+@all", "-@dangerous"], keys=["*"]
    )
    with connect(str(server_url(redis)), timeout=10) as client:
        assert RedisFaults("redis", client).check() == []


def server_url(redis: Redis) -> str:
    port = redis.connection_pool.connection_kwargs["port"]
    return f"redis://app:any@127.0.0.1:{port}/0"


def test_one_that_does_not_answer_is_not_judged() -> None:
    with (
        connect(f"redis://{nothing_listens()}/0", timeout=1) as redis,
        pytest.raises(ServiceUnavailableError),
    ):
        RedisFaults("redis", redis).check()


def test_a_fault_is_logged_when_it_appears(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    faults = RedisFaults("redis", redis)
    for policy in ("noeviction", "allkeys-lru", "allkeys-lru", "noeviction", "allkeys-lru"):
        redis.config_set("maxmemory-policy", policy)
        faults.check()
    lines = [(record.levelno, record.getMessage()) for record in caplog.records]
    evicts = "redis: its maxmemory-policy deletes sign-ins and limits: set noeviction"
    assert lines == [(logging.WARNING, evicts)] * 2
