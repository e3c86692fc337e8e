"""What Garmin gave, and a database that is away or a Redis that is full: nothing of it is lost."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from dev.short import SHORT
from shared.accounts.accounts import Accounts
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.garmin.types import CodeRequired, Credentials, SignedIn
from shared.jobs.account_limit import AccountLimit, CodeLimit
from shared.jobs.challenges import ChallengeStore
from shared.jobs.repeats import NewJob
from shared.jobs.states import JobKind, JobStage, JobStatus, Success
from shared.redis.connection import Redis, connect
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.password_posts import PasswordPosts
from tests.shared.jobs.both_sides import Jobs
from tests.worker.scripted import ScriptedDriver
from worker.chain import DriverChain
from worker.drivers.driver import SignInPermit
from worker.handlers.completion import Completion
from worker.handlers.login import LoginHandler
from worker.lease import LeaseKeeper
from worker.marks import RunMarks
from worker.run import PostponedError
from worker.runner import JobRunner
from worker.shares import ThreadShares

CREDENTIALS = Credentials(username=SecretStr("anna@example.com"), password=SecretStr("secret"))


class AbsentDatabase:
    """Hangs up on everybody, and counts them."""

    def __init__(self) -> None:
        self.callers = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql+psycopg://fit@127.0.0.1:{self._socket.getsockname()[1]}/fit"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.callers += 1
            connection.close()


@pytest.fixture
def absent() -> Iterator[AbsentDatabase]:
    server = AbsentDatabase()
    yield server
    server.stop()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def driver() -> ScriptedDriver:
    return ScriptedDriver("garth")


@pytest.fixture
def jobs(redis: Redis, keyring: Keyring) -> Jobs:
    return Jobs(redis, keyring, 900)


@pytest.fixture
def job(jobs: Jobs) -> NewJob:
    return jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS)


def runner(
    redis: Redis, keyring: Keyring, jobs: Jobs, driver: ScriptedDriver, url: str
) -> JobRunner:
    chain = DriverChain([driver], DriverCooldowns(redis), PasswordPosts(redis))
    challenges = ChallengeStore(redis, keyring, 600, 3)
    completion = Completion(
        chain=chain,
        accounts=Accounts(Database(url), keyring, 3600),
        limit=AccountLimit(redis, "5/hour"),
        codes=CodeLimit(redis, "3/hour"),
    )
    return JobRunner(
        claims=jobs,
        keeper=LeaseKeeper(jobs),
        marks=RunMarks(Database(url)),
        handlers={JobKind.LOGIN: LoginHandler(chain, challenges, completion)},
        shares=ThreadShares(32, 25, 75),
        timings=SHORT,
    )


@pytest.fixture
def without_database(
    redis: Redis, keyring: Keyring, jobs: Jobs, driver: ScriptedDriver, absent: AbsentDatabase
) -> JobRunner:
    return runner(redis, keyring, jobs, driver, absent.url)


def test_the_first_run_waits_for_the_database_and_later_runs_try_once(
    without_database: JobRunner, job: NewJob, absent: AbsentDatabase
) -> None:
    """So that many sign-ins that wait do not hold all threads of a worker."""
    with pytest.raises(PostponedError):
        without_database.run(job.job_id)
    assert absent.callers > 1
    for _ in range(3):
        before = absent.callers
        with pytest.raises(PostponedError):
            without_database.run(job.job_id)
        assert absent.callers == before + 1


def test_a_later_run_stores_what_an_earlier_one_received(
    without_database: JobRunner,
    job: NewJob,
    jobs: Jobs,
    redis: Redis,
    keyring: Keyring,
    driver: ScriptedDriver,
    database_url: str,
) -> None:
    token = job.poll_token.get_secret_value()
    with pytest.raises(PostponedError):
        without_database.run(job.job_id)
    view = jobs.view(job.job_id, token)
    assert (view.status, view.stage) == (JobStatus.RUNNING, JobStage.STORING)

    with_database = runner(redis, keyring, jobs, driver, database_url)
    assert with_database.run(job.job_id) == "succeeded"

    assert isinstance(jobs.view(job.job_id, token).outcome, Success)
    assert driver.calls == ["sign_in", "identify"]


@dataclass
class FillingDriver(ScriptedDriver):
    """Redis has no memory left when Garmin answers, and for a second more."""

    redis: Redis | None = None

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        assert self.redis is not None
        permit.post_password("mobile")
        self.posts = ()
        self.redis.config_set("maxmemory", "1")
        threading.Timer(1.0, self.redis.config_set, ("maxmemory", "0")).start()
        return super().sign_in(credentials, permit)


@pytest.mark.parametrize(("asks", "result"), [(False, "succeeded"), (True, "mfa_required")])
def test_tokens_are_kept_once_redis_has_memory_again(
    real_redis_url: str, keyring: Keyring, database_url: str, asks: bool, result: str
) -> None:
    with connect(real_redis_url, timeout=30) as redis:  # without patience of its own
        jobs = Jobs(redis, keyring, 900)
        job = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS)
        driver = FillingDriver("garth", needs_code=asks, redis=redis)

        assert runner(redis, keyring, jobs, driver, database_url).run(job.job_id) == result

        assert driver.calls.count("sign_in") == 1
