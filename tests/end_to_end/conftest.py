"""The whole service: API, workers, real Redis, real PostgreSQL, the simulated Garmin.

`stack` is one that runs for all tests that do it no harm, emptied before each. Tests that kill
processes or stop servers start their own with `own_stack`.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from dev.servers import RedisServer
from dev.simulator import Simulator
from dev.stack import LIMITS_OFF, Stack, new_key
from shared.accounts.clients import ClientRepository
from shared.database.engine import Database
from tests.databases import PostgresDatabases
from tests.end_to_end.client import Client
from tests.programs import PROGRAMS


@pytest.fixture(scope="session")
def running_stack(
    postgres_databases: PostgresDatabases, running_simulator: Simulator, server_folder: Path
) -> Iterator[Stack]:
    folder = server_folder / "stack"
    folder.mkdir()
    with RedisServer(folder) as redis, postgres_databases.migrated() as database_url:
        settings = stack_settings(redis.url, database_url)
        with Stack(
            folder, settings, running_simulator.environment, programs=PROGRAMS, migrated=True
        ) as stack:
            yield stack.start()
        stack.kill()


@pytest.fixture
def stack(running_stack: Stack, garmin: Simulator) -> Stack:
    """An API and one worker, running, with nothing in Redis or the database."""
    assert garmin.counters()["total"]["credential_posts"] == 0
    empty_redis(running_stack)
    engine = create_engine(running_stack.settings["FITTRACK_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM users"))
    engine.dispose()
    return running_stack


def empty_redis(stack: Stack) -> None:
    """Delete all but Celery's keys, which its running processes expect to find."""
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        for key in redis.scan_iter("fittrack:*"):
            if not key.startswith(b"fittrack:celery:"):
                redis.delete(key)


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    client = Client(stack.url)
    yield client
    client.close()


@pytest.fixture
def app_key(stack: Stack) -> str:
    """The key of a new app."""
    database = Database(stack.settings["FITTRACK_DATABASE_URL"])
    _, key = database.run(lambda session: ClientRepository(session).add(uuid4().hex))
    database.close()
    return key


@pytest.fixture
def own_settings(real_redis_url: str, postgres_url: str) -> dict[str, str]:
    return stack_settings(real_redis_url, postgres_url)


def stack_settings(redis_url: str, database_url: str) -> dict[str, str]:
    return {
        "FITTRACK_REDIS_URL": redis_url,
        "FITTRACK_DATABASE_URL": database_url,
        "FITTRACK_ENCRYPTION_KEYS": new_key("test"),
        **LIMITS_OFF,
    }


@pytest.fixture
def own_stack(own_settings: dict[str, str], garmin: Simulator, tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own, not started."""
    with Stack(
        tmp_path, own_settings, garmin.environment, programs=PROGRAMS, migrated=True
    ) as stack:
        yield stack
        stack.kill()


@pytest.fixture
def own_client(own_stack: Stack) -> Iterator[Client]:
    client = Client(own_stack.url)
    yield client
    client.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may stop or fill."""
    with RedisServer(tmp_path) as server:
        assert isinstance(server, RedisServer)
        yield server


@pytest.fixture
def frail_stack(
    own_redis: RedisServer, own_settings: dict[str, str], garmin: Simulator, tmp_path: Path
) -> Iterator[Stack]:
    """A running stack whose Redis a test may stop or fill."""
    settings = own_settings | {"FITTRACK_REDIS_URL": own_redis.url}
    with Stack(tmp_path, settings, garmin.environment, programs=PROGRAMS, migrated=True) as stack:
        yield stack.start()
        stack.kill()
