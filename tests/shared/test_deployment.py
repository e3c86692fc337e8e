"""Deployments on one Redis are told apart by their databases."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.database.engine import Database
from shared.database.identity import database_id
from shared.deployment import Deployment, OtherDeploymentError
from shared.errors import ServiceUnavailableError
from shared.keyspace import KeySpace
from shared.redis.connection import Redis, connect
from tests.databases import migrated_sqlite
from tests.shared.samples import nothing_listens

MARK = "fittrack:deployment"

Databases = Callable[[str], Database]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Databases]:
    """Open databases by name, each migrated."""
    with ExitStack() as exit:

        def database(name: str) -> Database:
            opened = Database(migrated_sqlite(tmp_path / f"{name}.db"))
            exit.callback(opened.close)
            return opened

        yield database


def test_a_database_keeps_its_id(database: Database) -> None:
    assert database.run(database_id) == database.run(database_id)


def test_another_database_is_refused_until_the_mark_has_expired(
    redis: Redis, opened: Databases
) -> None:
    first, second = (Deployment(opened(name), [redis]) for name in ("first", "second"))
    first.claim()
    first.claim()
    assert 0 < redis.ttl(MARK) <= 60
    with pytest.raises(OtherDeploymentError, match="set another FITTRACK_REDIS_PREFIX"):
        second.start()
    redis.delete(MARK)
    second.start()
    with pytest.raises(OtherDeploymentError):
        first.claim()


def test_claiming_renews_the_mark(redis: Redis, opened: Databases) -> None:
    deployment = Deployment(opened("first"), [redis])
    deployment.claim()
    redis.expire(MARK, 5)
    deployment.renew()
    assert redis.ttl(MARK) > 5


def test_all_processes_of_a_deployment_hold_it_together(redis: Redis, database: Database) -> None:
    for _ in range(2):
        Deployment(database, [redis]).claim()


def test_another_prefix_is_another_deployment(
    redis: Redis, redis_url: str, opened: Databases
) -> None:
    Deployment(opened("first"), [redis]).claim()
    with connect(redis_url, timeout=30, keyspace=KeySpace("shop")) as other:
        Deployment(opened("second"), [other]).claim()


def test_queues_in_another_redis_are_held_too(redis_url: str, opened: Databases) -> None:
    first, second, broker = (connect(f"{redis_url[:-1]}{n}", timeout=30) for n in (1, 2, 3))
    Deployment(opened("first"), [first, broker]).claim()
    with pytest.raises(OtherDeploymentError):
        Deployment(opened("second"), [second, broker]).claim()
    for server in (first, second, broker):
        server.close()


def test_a_redis_that_is_away_is_awaited(database: Database) -> None:
    with connect(f"redis://{nothing_listens()}/0", timeout=1) as away:
        deployment = Deployment(database, [away])
        deployment.start()
        with pytest.raises(ServiceUnavailableError):
            deployment.renew()


def test_a_process_that_held_the_names_goes_on_and_says_so(
    redis: Redis, opened: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = Deployment(opened("first"), [redis])
    deployment.claim()
    redis.set(MARK, "another", ex=60)
    with caplog.at_level(logging.ERROR):
        deployment.renew()
    assert "with the database another, holds fittrack:deployment" in caplog.text
    assert redis.get(MARK) == b"another"


def test_a_database_that_is_not_migrated_is_awaited(redis: Redis, empty_database_url: str) -> None:
    database = Database(empty_database_url)
    deployment = Deployment(database, [redis])
    deployment.start()
    with pytest.raises(ServiceUnavailableError):
        deployment.renew()
    database.close()
    assert not redis.exists(MARK)
