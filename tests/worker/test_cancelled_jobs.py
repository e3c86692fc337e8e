"""A job that is cancelled while it talks to Garmin: its result is not used."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken, User, UserSession
from shared.errors import ChallengeNotFoundError, MfaCodeInvalidError
from shared.garmin.types import (
    CodeRequired,
    CodeSubmission,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.jobs.cancellation import JobCancellation
from shared.jobs.challenges import ChallengeStore
from shared.jobs.repeats import NewJob
from shared.jobs.states import Failure, JobCancelledError, JobKind, JobStatus
from shared.origin import Origin
from shared.redis.connection import Redis
from tests.shared.jobs.both_sides import Jobs
from tests.worker.scripted import ScriptedDriver, pending
from tests.worker.test_storing import CREDENTIALS, runner
from worker.drivers.driver import Permit, SignInPermit
from worker.handlers.login import LoginHandler
from worker.handlers.mfa_completion import MfaCompletionHandler
from worker.runner import JobRunner

PATIENCE = 60
ORIGIN = Origin(account="anna")


@dataclass
class HeldDriver(ScriptedDriver):
    """Waits in one of its calls until it is released."""

    held_in: str = "sign_in"
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        self._hold("sign_in")
        return super().sign_in(credentials, permit)

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        self._hold("finish")
        return super().finish(pending, code, permit)

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        self._hold("identify")
        return super().identify(tokens, permit)

    def _hold(self, call: str) -> None:
        if call == self.held_in:
            self.reached.set()
            assert self.released.wait(PATIENCE)


@dataclass(frozen=True)
class Worker:
    runner: JobRunner
    jobs: Jobs
    driver: HeldDriver
    cancellation: JobCancellation
    database: Database

    def run_cancelled(self, job: NewJob) -> str:
        """Run the job, and cancel it while the driver waits; return its result."""
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(self.runner.run, job.job_id)
            assert self.driver.reached.wait(PATIENCE)
            self.cancellation.cancel(job.job_id, job.poll_token.get_secret_value())
            self.driver.released.set()
            return result.result(PATIENCE)

    def assert_nothing_came_of(self, job: NewJob) -> None:
        view = self.jobs.view(job.job_id, job.poll_token.get_secret_value())
        assert (view.status, view.outcome) == (
            JobStatus.FAILED,
            Failure.of(JobCancelledError()),
        )
        counts = [select(func.count()).select_from(t) for t in (User, GarminToken, UserSession)]
        assert self.database.run(lambda s: [s.scalar(count) for count in counts]) == [0, 0, 0]


@pytest.fixture
def challenges(redis: Redis, keyring: Keyring) -> ChallengeStore:
    return ChallengeStore(redis, keyring, 600, 3)


@pytest.fixture
def worker(redis: Redis, keyring: Keyring, sqlite_url: str) -> Iterator[Worker]:
    jobs, driver = Jobs(redis, keyring, 900), HeldDriver("garth")
    built = runner(redis, keyring, jobs, driver, sqlite_url)
    login = built.handlers[JobKind.LOGIN]
    assert isinstance(login, LoginHandler)
    code = MfaCompletionHandler(login.chain, login.challenges, login.completion)
    both = replace(built, handlers={JobKind.LOGIN: login, JobKind.MFA_COMPLETION: code})
    database = Database(sqlite_url)
    yield Worker(both, jobs, driver, JobCancellation(redis, keyring), database)
    database.close()


def submitted_login(worker: Worker) -> NewJob:
    return worker.jobs.create(worker.jobs.new_id(), JobKind.LOGIN, CREDENTIALS, ORIGIN)


def submitted_code(worker: Worker, challenges: ChallengeStore) -> tuple[NewJob, SecretStr]:
    challenge_id = challenges.create(pending("garth"), ORIGIN).challenge_id
    job_id = worker.jobs.new_id()
    challenges.reserve(challenge_id, job_id)
    code = CodeSubmission(challenge_id=challenge_id, code=SecretStr("123456"))
    return worker.jobs.create(job_id, JobKind.MFA_COMPLETION, code, ORIGIN), challenge_id


@pytest.mark.parametrize("call", ["sign_in", "identify"])
def test_a_sign_in_that_is_cancelled_stores_nothing(worker: Worker, call: str) -> None:
    worker.driver.held_in = call
    job = submitted_login(worker)
    assert worker.run_cancelled(job) == "cancelled"
    worker.assert_nothing_came_of(job)
    submitted_login(worker)  # its account is free


def test_a_code_that_a_cancelled_sign_in_requires_can_not_be_entered(
    worker: Worker, redis: Redis
) -> None:
    worker.driver.needs_code = True
    job = submitted_login(worker)
    assert worker.run_cancelled(job) == "cancelled"
    worker.assert_nothing_came_of(job)
    assert not list(redis.scan_iter("fittrack:challenge:*"))


@pytest.mark.parametrize("call", ["finish", "identify"])
def test_a_right_code_that_is_cancelled_stores_nothing(
    worker: Worker, challenges: ChallengeStore, call: str
) -> None:
    worker.driver.held_in = call
    job, challenge_id = submitted_code(worker, challenges)
    assert worker.run_cancelled(job) == "cancelled"
    worker.assert_nothing_came_of(job)
    with pytest.raises(ChallengeNotFoundError):
        challenges.reserve(challenge_id, "another job")


def test_a_wrong_code_counts_though_it_is_cancelled(
    worker: Worker, challenges: ChallengeStore, redis: Redis
) -> None:
    worker.driver.held_in, worker.driver.error = "finish", MfaCodeInvalidError()
    job, _ = submitted_code(worker, challenges)
    assert worker.run_cancelled(job) == "cancelled"
    worker.assert_nothing_came_of(job)
    [limit] = redis.scan_iter("fittrack:limit:login-account:*")
    assert redis.zcard(limit) == 1


def test_a_cancelled_job_whose_worker_died_sends_nothing_to_garmin(
    worker: Worker, redis: Redis
) -> None:
    job = submitted_login(worker)
    worker.jobs.claim(job.job_id, "a worker that dies")
    worker.cancellation.cancel(job.job_id, job.poll_token.get_secret_value())
    redis.delete(f"fittrack:job:{job.job_id}:lease")
    assert worker.runner.run(job.job_id) == "cancelled"
    assert worker.driver.calls == []
    worker.assert_nothing_came_of(job)
