"""An account's limits, asked again by the worker: the job may have waited, and others with it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from dev.short import SHORT
from shared import errors
from shared.accounts.accounts import Accounts
from shared.crypto.keyring import Keyring
from shared.crypto.secret import Sealable
from shared.database.engine import Database
from shared.garmin.types import CodeResend, CodeSubmission, Credentials
from shared.jobs.account_limit import (
    AccountLimit,
    CodeLimit,
    TooManyCodesError,
    TooManyFailedSignInsError,
)
from shared.jobs.challenges import ChallengeStore
from shared.jobs.states import CodeRequested, Failure, JobKind, Outcome
from shared.origin import Origin
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.password_posts import PasswordPosts
from tests.shared.jobs.both_sides import Jobs
from tests.worker.scripted import ScriptedDriver, pending
from worker.chain import DriverChain
from worker.handlers.code_resend import CodeResendHandler
from worker.handlers.completion import Completion
from worker.handlers.login import LoginHandler
from worker.handlers.mfa_completion import MfaCompletionHandler
from worker.lease import LeaseKeeper
from worker.marks import RunMarks
from worker.runner import JobRunner
from worker.shares import ThreadShares

ANNA = Origin(account="keyed-hash-of-anna")
ACCOUNT = "keyed-hash-of-anna"
CREDENTIALS = Credentials(username=SecretStr("anna@example.com"), password=SecretStr("secret"))


@dataclass
class Worker:
    """A worker whose Garmin is a script. Three codes may be sent, three may be wrong."""

    driver: ScriptedDriver
    jobs: Jobs
    challenges: ChallengeStore
    limit: AccountLimit
    codes: CodeLimit
    runner: JobRunner

    def sign_in(self) -> Outcome | None:
        return self._run(JobKind.LOGIN, CREDENTIALS)

    def try_code(self, challenge_id: SecretStr) -> Outcome | None:
        code = CodeSubmission(challenge_id=challenge_id, code=SecretStr("123456"))
        return self._run(JobKind.MFA_COMPLETION, code)

    def resend(self, challenge_id: SecretStr) -> Outcome | None:
        return self._run(JobKind.CODE_RESEND, CodeResend(challenge_id=challenge_id))

    def _run(self, kind: JobKind, work: Sealable) -> Outcome | None:
        job = self.jobs.create(self.jobs.new_id(), kind, work, ANNA)
        self.runner.run(job.job_id)
        return self.jobs.view(job.job_id, job.poll_token.get_secret_value()).outcome


@pytest.fixture
def worker(redis: Redis, keyring: Keyring, sqlite_url: str) -> Iterator[Worker]:
    driver = ScriptedDriver("garth", needs_code=True)
    jobs = Jobs(redis, keyring, 900)
    challenges = ChallengeStore(redis, keyring, 600, 3)
    limit, codes = AccountLimit(redis, "3/hour"), CodeLimit(redis, "3/hour")
    chain = DriverChain([driver], DriverCooldowns(redis), PasswordPosts(redis))
    database = Database(sqlite_url)
    accounts = Accounts(database, keyring, 3600)
    completion = Completion(chain=chain, accounts=accounts, limit=limit, codes=codes)
    runner = JobRunner(
        claims=jobs,
        keeper=LeaseKeeper(jobs),
        handlers={
            JobKind.LOGIN: LoginHandler(chain, challenges, completion),
            JobKind.MFA_COMPLETION: MfaCompletionHandler(chain, challenges, completion),
            JobKind.CODE_RESEND: CodeResendHandler(chain, challenges, completion),
        },
        shares=ThreadShares(32, 25, 75),
        timings=SHORT,
        marks=RunMarks(database),
    )
    yield Worker(driver, jobs, challenges, limit, codes, runner)
    database.close()


def assert_limited(outcome: Outcome | None) -> None:
    assert isinstance(outcome, Failure)
    assert outcome.code is errors.JobErrorCode.RATE_LIMITED
    assert outcome.retry_after is not None
    assert 3500 < outcome.retry_after <= 3600


def test_after_as_many_codes_as_allowed_no_password_is_sent(worker: Worker) -> None:
    for _ in range(3):
        assert isinstance(worker.sign_in(), CodeRequested)
    assert_limited(worker.sign_in())
    assert worker.driver.calls == ["sign_in"] * 3


def test_sign_ins_without_a_code_are_not_counted_as_codes(worker: Worker) -> None:
    worker.driver.needs_code = False
    for _ in range(5):
        worker.sign_in()
    worker.codes.check(ACCOUNT)
    assert worker.driver.calls.count("sign_in") == 5


def test_while_the_account_is_locked_neither_password_nor_code_is_sent(worker: Worker) -> None:
    challenge_id = worker.challenges.create(pending("garth"), ANNA).challenge_id
    for job in ("one", "two", "three"):
        worker.limit.begin_code(ACCOUNT, job)
    assert_limited(worker.sign_in())
    refused = worker.try_code(challenge_id)
    assert_limited(refused)
    assert isinstance(refused, Failure)
    assert (refused.challenge_id, refused.attempts_left) == (challenge_id, 3)
    assert worker.driver.calls == []


def test_wrong_codes_of_all_challenges_lock_the_account(worker: Worker) -> None:
    for _ in range(3):
        challenge_id = worker.challenges.create(pending("garth"), ANNA).challenge_id
        worker.driver.error = errors.MfaCodeInvalidError()
        worker.try_code(challenge_id)
    with pytest.raises(TooManyFailedSignInsError):
        worker.limit.check(ACCOUNT)


def test_codes_that_garmin_did_not_judge_are_not_counted(worker: Worker) -> None:
    challenge_id = worker.challenges.create(pending("garth"), ANNA).challenge_id
    worker.driver.error = errors.GarminUnavailableError()
    for _ in range(5):
        worker.try_code(challenge_id)
    worker.limit.check(ACCOUNT)
    assert worker.driver.calls == ["finish"] * 5


def test_garmins_own_limit_stops_new_codes_and_leaves_the_challenge_open(worker: Worker) -> None:
    challenge_id = worker.challenges.create(pending("garth"), ANNA).challenge_id
    worker.driver.error = errors.CodeLimitReachedError()
    failed = worker.try_code(challenge_id)
    assert isinstance(failed, Failure)
    assert (failed.challenge_id, failed.attempts_left) == (challenge_id, 3)
    with pytest.raises(TooManyCodesError) as caught:
        worker.codes.check(ACCOUNT)
    assert caught.value.retry_after > 86_000
    worker.limit.check(ACCOUNT)

    worker.driver.error = None
    worker.try_code(challenge_id)
    assert worker.driver.calls == ["finish", "finish", "identify"]
