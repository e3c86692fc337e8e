"""The stores over the servers of `tests/conftest.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import shared
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.jobs.challenges import ChallengeStore
from shared.redis.connection import Redis, connect
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
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()
