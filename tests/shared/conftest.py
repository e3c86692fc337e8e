"""The stores over the servers of `tests/conftest.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from redis import Redis

import shared
from dev.processes import ROOT
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.jobs.challenges import ChallengeStore
from shared.redis.connection import connect
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import ATTEMPTS, CHALLENGE_TTL, JOB_TTL


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect(redis_url, timeout=30) as client:
        # fakeredis' server hangs up after an error reply, NOSCRIPT among them.
        for script in Path(shared.__path__[0]).glob("*/lua/*.lua"):
            client.script_load(script.read_text(encoding="utf-8"))
        yield client


@pytest.fixture
def jobs(redis: Redis, keyring: Keyring) -> Jobs:
    return Jobs(redis, keyring, JOB_TTL)


@pytest.fixture
def challenges(redis: Redis, keyring: Keyring) -> ChallengeStore:
    return ChallengeStore(redis, keyring, CHALLENGE_TTL, ATTEMPTS)


@pytest.fixture
def database_url(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A migrated database. Migrated in this process, which starts alembic only once."""
    with monkeypatch.context() as environment:
        environment.setenv("FITTRACK_DATABASE_URL", empty_database_url)
        command.upgrade(alembic(), "head")
    return empty_database_url


def alembic() -> Config:
    return Config(ROOT / "alembic.ini")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()
