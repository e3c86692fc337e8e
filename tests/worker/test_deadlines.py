"""A job that its deadline has ended stores nothing, whatever its thread comes back with."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import func, select

from dev.short import SHORT
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken, User, UserSession
from shared.errors import TimedOutError
from shared.garmin.types import GarminIdentity, GarminTokens
from shared.jobs.repeats import NewJob
from shared.jobs.states import Failure, JobKind
from shared.redis.connection import Redis
from tests.shared.jobs.both_sides import Jobs
from tests.worker.scripted import ScriptedDriver
from tests.worker.test_storing import CREDENTIALS, runner
from worker.drivers.driver import Permit
from worker.handlers.login import LoginHandler
from worker.lease import LeaseKeeper
from worker.run import Run

TIMINGS = replace(SHORT, login_deadline=1.0, lease_renewal=0.05)
PATIENCE = 60


@dataclass
class SlowDriver(ScriptedDriver):
    """Says whose tokens they are once the deadline has passed."""

    deadline_passed: threading.Event = field(default_factory=threading.Event)

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        assert self.deadline_passed.wait(PATIENCE)
        return super().identify(tokens, permit)


@dataclass(frozen=True)
class SlowlyEnding(LoginHandler):
    """Its deadline has passed, but the job's end has not reached Redis yet."""

    driver: SlowDriver
    has_ended: threading.Event

    def time_out(self, job: Run) -> Failure:
        self.driver.deadline_passed.set()
        assert self.has_ended.wait(PATIENCE)
        return super().time_out(job)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def jobs(redis: Redis, keyring: Keyring) -> Jobs:
    return Jobs(redis, keyring, 900, TIMINGS)


@pytest.fixture
def job(jobs: Jobs) -> NewJob:
    return jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS)


def test_tokens_that_come_after_the_deadline_are_not_stored(
    redis: Redis, keyring: Keyring, jobs: Jobs, job: NewJob, sqlite_url: str, database: Database
) -> None:
    driver, has_ended = SlowDriver("garth"), threading.Event()
    built = runner(redis, keyring, jobs, driver, sqlite_url)
    handler = built.handlers[JobKind.LOGIN]
    assert isinstance(handler, LoginHandler)
    slow = SlowlyEnding(handler.chain, handler.challenges, handler.completion, driver, has_ended)
    late = replace(
        built,
        keeper=LeaseKeeper(jobs, TIMINGS),
        handlers={JobKind.LOGIN: slow},
        timings=TIMINGS,
    )
    try:
        assert late.run(job.job_id) == "timed_out"
    finally:
        has_ended.set()

    assert driver.calls == ["sign_in", "identify"]
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert view.outcome == Failure.of(TimedOutError())
    tables = (User, GarminToken, UserSession)
    counts = [select(func.count()).select_from(table) for table in tables]
    assert database.run(lambda session: [session.scalar(count) for count in counts]) == [0, 0, 0]
