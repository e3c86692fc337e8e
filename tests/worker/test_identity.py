"""Tokens that Garmin gave are not lost to a profile call: whole jobs, over the real drivers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from dev.short import SHORT
from dev.simulator import PASSWORD, Simulator
from shared.accounts.accounts import Accounts
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken, User
from shared.garmin.types import CodeSubmission, Credentials
from shared.jobs.account_limit import AccountLimit, CodeLimit
from shared.jobs.challenges import ChallengeStore
from shared.jobs.states import CodeRequested, Failure, JobKind, Outcome, Success
from shared.origin import Origin
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.password_posts import PasswordPosts
from tests.shared.jobs.both_sides import Jobs
from tests.worker.ways import GARTH, MOBILE
from worker.chain import DriverChain
from worker.drivers.driver import GarminDriver
from worker.drivers.garminconnect import GarminConnectDriver
from worker.drivers.garth import GarthDriver
from worker.drivers.http import GarminAdapter
from worker.handlers.completion import Completion
from worker.handlers.handler import Handler
from worker.handlers.login import LoginHandler
from worker.handlers.mfa_completion import MfaCompletionHandler
from worker.lease import LeaseKeeper
from worker.marks import RunMarks
from worker.runner import JobRunner
from worker.shares import ThreadShares

PROFILE = "/userprofile-service/socialProfile"
PREAUTHORIZED = "/oauth-service/oauth/preauthorized"
TIMINGS = replace(SHORT, profile_patience=2.0, login_deadline=8.0, code_deadline=8.0)


@dataclass
class Worker:
    """Runs jobs as a worker does; drivers in this order."""

    jobs: Jobs
    challenges: ChallengeStore
    database: Database
    runner: JobRunner

    def sign_in(self, username: str, password: str = PASSWORD) -> Outcome:
        credentials = Credentials(username=SecretStr(username), password=SecretStr(password))
        return self._run(JobKind.LOGIN, credentials)

    def send_code(self, asked: Outcome, code: str) -> Outcome:
        assert isinstance(asked, CodeRequested)
        submission = CodeSubmission(challenge_id=asked.challenge_id, code=SecretStr(code))
        return self._run(JobKind.MFA_COMPLETION, submission)

    def driver_of(self, outcome: Outcome) -> str:
        """Return the driver that the stored tokens belong to."""
        assert isinstance(outcome, Success), outcome
        of_user = select(GarminToken.driver).where(GarminToken.user_id == UUID(outcome.user_id))
        return self.database.run(lambda session: session.scalars(of_user).one())

    def guid_of(self, outcome: Outcome) -> str:
        assert isinstance(outcome, Success), outcome
        return self.database.run(
            lambda session: session.get_one(User, UUID(outcome.user_id)).garmin_guid
        )

    def _run(self, kind: JobKind, work: Credentials | CodeSubmission) -> Outcome:
        job = self.jobs.create(self.jobs.new_id(), kind, work, origin=Origin(account="anna"))
        self.runner.run(job.job_id)
        outcome = self.jobs.view(job.job_id, job.poll_token.get_secret_value()).outcome
        assert outcome is not None
        return outcome


@pytest.fixture
def redis_url(real_redis_url: str) -> str:
    return real_redis_url


@pytest.fixture
def worker(
    redis: Redis,
    keyring: Keyring,
    sqlite_url: str,
    adapter: GarminAdapter,
    reached_garmin: Simulator,
    request: pytest.FixtureRequest,
) -> Callable[..., Worker]:
    def build(*names: str) -> Worker:
        adapter.timings = replace(TIMINGS, garmin_answer=60.0)
        made: dict[str, GarminDriver] = {
            GARTH: GarthDriver(adapter),
            MOBILE: GarminConnectDriver(adapter, TIMINGS),
        }
        jobs = Jobs(redis, keyring, 900, TIMINGS)
        database = Database(sqlite_url)
        request.addfinalizer(database.close)
        chain = DriverChain(
            [made[name] for name in names], DriverCooldowns(redis), PasswordPosts(redis)
        )
        challenges = ChallengeStore(redis, keyring, 600, 3)
        completion = Completion(
            chain=chain,
            accounts=Accounts(database, keyring, 3600),
            limit=AccountLimit(redis, "5/hour"),
            codes=CodeLimit(redis, "5/hour"),
        )
        handlers: dict[JobKind, Handler] = {
            JobKind.LOGIN: LoginHandler(chain, challenges, completion),
            JobKind.MFA_COMPLETION: MfaCompletionHandler(chain, challenges, completion),
        }
        keeper, marks = LeaseKeeper(jobs, TIMINGS), RunMarks(database)
        runner = JobRunner(jobs, keeper, marks, handlers, ThreadShares(32, 25, 75), TIMINGS)
        return Worker(jobs, challenges, database, runner)

    return build


@pytest.mark.parametrize("driver", [GARTH, MOBILE])
@pytest.mark.parametrize("status", [403, 429, 500])
def test_a_profile_that_stays_refused_loses_no_tokens(
    worker: Callable[..., Worker], garmin: Simulator, driver: str, status: int
) -> None:
    one, username = worker(driver), "plain-anna@example.com"
    garmin.configure(refuse={"profile": {"status": status}})
    outcome = one.sign_in(username)
    assert isinstance(outcome, Success), outcome
    assert outcome.display_name == "Garmin user"
    assert one.guid_of(outcome) == garmin.account(username)["profile"]["garminGUID"]
    assert garmin.count("refused") <= 6
    garmin.configure(refuse={})
    again = one.sign_in(username)
    assert isinstance(again, Success)
    assert (again.user_id, again.display_name) == (outcome.user_id, "Plain Anna")


def test_a_known_person_keeps_the_name_where_the_profile_is_refused(
    worker: Callable[..., Worker], garmin: Simulator
) -> None:
    one = worker(GARTH)
    one.sign_in("plain-anna@example.com")
    garmin.configure(refuse={"profile": {"status": 429, "retry_after": 600}})
    outcome = one.sign_in("plain-anna@example.com")
    assert isinstance(outcome, Success), outcome
    assert outcome.display_name == "Plain Anna"
    assert garmin.count("refused") == 1  # nobody waits for ten minutes


def test_a_retry_after_of_the_profile_is_obeyed(
    worker: Callable[..., Worker], garmin: Simulator
) -> None:
    one = worker(GARTH)
    garmin.configure(refuse={"profile": {"status": 429, "retry_after": 1, "times": 1}})
    began = time.monotonic()
    outcome = one.sign_in("plain-anna@example.com")
    assert isinstance(outcome, Success), outcome
    assert outcome.display_name == "Plain Anna"
    assert time.monotonic() - began >= 1
    assert garmin.count("refused") == 1


def test_a_profile_that_hangs_leaves_time_to_store(
    worker: Callable[..., Worker], garmin: Simulator
) -> None:
    one = worker(GARTH)
    garmin.configure(faults=[{"kind": "hang", "path": PROFILE}])
    outcome = one.sign_in("plain-anna@example.com")
    assert isinstance(outcome, Success), outcome


def test_a_ticket_redeemed_at_di_belongs_to_garminconnect(
    worker: Callable[..., Worker], garmin: Simulator
) -> None:
    one, username = worker(GARTH, MOBILE), "ticket401-email-anna@example.com"
    outcome = one.send_code(one.sign_in(username), garmin.code(username))
    assert one.driver_of(outcome) == "garminconnect"
    assert garmin.count("credential_posts", username) == 1


@pytest.mark.parametrize("drivers", [(GARTH, MOBILE), (MOBILE, GARTH)])
def test_a_right_code_without_tokens_closes_the_challenge(
    worker: Callable[..., Worker], garmin: Simulator, drivers: tuple[str, str]
) -> None:
    one, username = worker(*drivers), "ticket401-direfused-email-anna@example.com"
    asked = one.sign_in(username)
    failed_to_sign_in(one.send_code(asked, garmin.code(username)))
    gone = one.send_code(asked, garmin.code(username))
    assert isinstance(gone, Failure)
    assert gone.code == "timed_out"
    assert isinstance(one.sign_in(username), CodeRequested)  # with the other driver
    assert garmin.count("credential_posts", username) == 2


def test_a_single_driver_says_when_to_sign_in_again(
    worker: Callable[..., Worker], garmin: Simulator
) -> None:
    one, username = worker(GARTH), "ticket401-direfused-email-anna@example.com"
    outcome = one.send_code(one.sign_in(username), garmin.code(username))
    assert isinstance(outcome, Failure)
    assert outcome.code == "interrupted"
    assert outcome.attempts_left is None
    assert outcome.retry_after is not None


def failed_to_sign_in(outcome: Outcome) -> None:
    assert isinstance(outcome, Failure), outcome
    assert outcome.code == "interrupted"
    assert "sign in again now" in outcome.message
    assert (outcome.challenge_id, outcome.attempts_left, outcome.retry_after) == (None, None, None)


def test_tokens_that_are_not_active_make_way_for_the_next_driver(
    worker: Callable[..., Worker], garmin: Simulator
) -> None:
    one, username = worker(MOBILE, GARTH), "inactive-plain-anna@example.com"
    assert one.driver_of(one.sign_in(username)) == "garth"
    assert garmin.count("credential_posts", username) == 2
    assert one.driver_of(one.sign_in(username)) == "garth"
    assert garmin.count("credential_posts", username) == 3  # the first driver is known to fail


def test_tokens_that_are_not_active_anywhere_end_within_the_bound(
    worker: Callable[..., Worker], garmin: Simulator
) -> None:
    one, username = worker(GARTH, MOBILE), "ticket401-inactive-plain-anna@example.com"
    outcome = one.sign_in(username)
    assert isinstance(outcome, Failure)
    assert outcome.code == "interrupted"
    assert outcome.retry_after is not None
    assert garmin.count("credential_posts", username) == 2


def test_tokens_that_are_not_active_after_a_code_ask_for_another_sign_in(
    worker: Callable[..., Worker], garmin: Simulator
) -> None:
    one, username = worker(MOBILE, GARTH), "inactive-email-anna@example.com"
    failed_to_sign_in(one.send_code(one.sign_in(username), garmin.code(username)))
    again = one.send_code(one.sign_in(username), garmin.code(username))
    assert one.driver_of(again) == "garth"
