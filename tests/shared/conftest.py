"""The stores over the servers of `tests/conftest.py`."""

from collections.abc import Iterator
from importlib.resources import files

import pytest
from redis import Redis

from shared.challenges import ChallengeStore
from shared.database import Database
from shared.jobs import JobStore
from shared.redis_connection import connect
from shared.sealing import Keyring
from tests.shared.samples import ATTEMPTS, CHALLENGE_TTL, JOB_TTL


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect(redis_url, timeout=30) as client:
        # fakeredis' server hangs up after an error reply, NOSCRIPT among them.
        for script in files("shared").joinpath("lua").iterdir():
            client.script_load(script.read_text(encoding="utf-8"))
        yield client


@pytest.fixture
def jobs(redis: Redis, keyring: Keyring) -> JobStore:
    return JobStore(redis, keyring, JOB_TTL)


@pytest.fixture
def challenges(redis: Redis, keyring: Keyring) -> ChallengeStore:
    return ChallengeStore(redis, keyring, CHALLENGE_TTL, ATTEMPTS)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()
