"""A refresh of tokens that do not open leaves them as they were, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dev.stack import new_key
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.jobs.states import JobKind
from shared.redis.connection import Redis
from tests.worker.refreshing import Service
from worker.handlers.refresh import RefreshHandler


@pytest.fixture(params=["postgres_url", "sqlite_url"])
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_nobody_holds_them_and_the_next_refresh_is_due_in_a_while(
    redis: Redis, keyring: Keyring, database_url: str
) -> None:
    database = Database(database_url)
    service = Service(redis, keyring, database)
    runner = service.runner()
    handler = runner.handlers[JobKind.REFRESH]
    assert isinstance(handler, RefreshHandler)
    without_key = replace(handler, keyring=Keyring.parse(new_key("other")))
    runner = replace(runner, handlers={JobKind.REFRESH: without_key})
    assert runner.run(service.submit()) == "internal_error"
    row = service.row
    assert (row.refresh_begun, row.refresh_job, row.generation) == (None, None, 1)
    assert row.refresh_due_at > datetime.now(UTC) + timedelta(minutes=5)
    assert service.driver.sent == []
    database.close()
