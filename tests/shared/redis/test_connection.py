"""How long a command waits for Redis, by the clock on the wall."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from dev.servers import RedisServer
from shared.redis.connection import connect
from tests.shared.samples import nobody_answers, nothing_listens

PATIENCE = 2.0
ANSWER = 0.5
AT_MOST = PATIENCE + 3 * ANSWER
"""The last try may begin just before the end, and connects before it asks."""


def client(address: str) -> Redis:
    return connect(f"redis://{address}/0", timeout=ANSWER, patience=PATIENCE)


def seconds_to_fail(command: Callable[[], object]) -> float:
    started = time.monotonic()
    with pytest.raises(RedisError):
        command()
    return time.monotonic() - started


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        assert isinstance(server, RedisServer)
        yield server


def test_a_redis_that_is_away_is_waited_for_with_patience() -> None:
    with client(nothing_listens()) as redis:
        assert PATIENCE / 2 < seconds_to_fail(redis.ping) < AT_MOST


def test_the_time_that_a_hanging_redis_takes_counts() -> None:
    with nobody_answers() as address, client(address) as redis:
        assert PATIENCE / 2 < seconds_to_fail(redis.ping) < AT_MOST


def test_a_redis_that_begins_to_hang_is_not_waited_for_twice(server: RedisServer) -> None:
    """A command on an open connection reconnects, and each of the two is retried."""
    with client(f"127.0.0.1:{server.port}") as redis:
        redis.ping()
        pipeline = redis.pipeline().ping()
        server.signal(signal.SIGSTOP)
        try:
            for command in (redis.ping, pipeline.execute):
                assert PATIENCE / 2 < seconds_to_fail(command) < AT_MOST
        finally:
            server.signal(signal.SIGCONT)
        assert redis.ping()


def test_a_full_redis_is_waited_for_with_patience(server: RedisServer) -> None:
    with client(f"127.0.0.1:{server.port}") as redis:
        redis.config_set("maxmemory", "1")
        assert PATIENCE / 2 < seconds_to_fail(lambda: redis.set("name", 1)) < AT_MOST
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(redis.set, "name", 1)
            time.sleep(PATIENCE / 2)
            redis.config_set("maxmemory", "0")
            assert writing.result(AT_MOST)


@pytest.mark.parametrize("patience", [0.0, PATIENCE])
def test_a_connection_that_redis_has_just_closed_is_replaced(
    server: RedisServer, patience: float
) -> None:
    with (
        connect(server.url, timeout=ANSWER, patience=patience) as redis,
        connect(server.url, timeout=ANSWER) as other,
    ):
        redis.set("key", "value")
        other.client_kill_filter(_type="normal", skipme=True)
        assert redis.get("key") == b"value"
