"""Jobs that their submitter cancels, over real Redis and over fakeredis."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from shared.audit.events import EventKind
from shared.audit.outbox import EventOutbox
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import token_hash
from shared.errors import (
    ChallengeNotFoundError,
    FitTrackError,
    JobNotFoundError,
    SignInInProgressError,
)
from shared.garmin.types import CodeSubmission
from shared.jobs.cancellation import JobCancellation, JobNotCancellableError
from shared.jobs.challenges import ChallengeStore, NewChallenge
from shared.jobs.claims import Claim
from shared.jobs.counters import JobCounters
from shared.jobs.repeats import NewJob
from shared.jobs.states import (
    CodeRequested,
    Failure,
    JobCancelledError,
    JobKind,
    JobStage,
    JobStatus,
)
from shared.origin import Origin
from shared.redis.connection import Redis
from tests.shared.jobs.both_sides import Jobs
from tests.shared.jobs.outcomes import SUCCESS, WRONG_CODE, lose_lease
from tests.shared.samples import CREDENTIALS, PENDING, at_once, garmin_tokens

ORIGIN = Origin(account="anna")
CANCELLED = Failure.of(JobCancelledError())


@pytest.fixture
def cancellation(redis: Redis, keyring: Keyring) -> JobCancellation:
    return JobCancellation(redis, keyring)


@pytest.fixture
def login(jobs: Jobs) -> NewJob:
    return new_login(jobs)


@pytest.fixture
def challenge(challenges: ChallengeStore) -> NewChallenge:
    return challenges.create(PENDING, ORIGIN)


def new_login(jobs: Jobs) -> NewJob:
    return jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, ORIGIN)


def submitted_code(jobs: Jobs, challenges: ChallengeStore, challenge: NewChallenge) -> NewJob:
    """A code for the challenge, which its job has reserved."""
    job_id = jobs.new_id()
    challenges.reserve(challenge.challenge_id, job_id)
    code = CodeSubmission(challenge_id=challenge.challenge_id, code=SecretStr("123456"))
    return jobs.create(job_id, JobKind.MFA_COMPLETION, code, ORIGIN)


def code_required(challenge: NewChallenge) -> CodeRequested:
    return CodeRequested(
        challenge_id=challenge.challenge_id,
        mfa_type="email",
        mfa_destination=None,
        expires_at=challenge.expires_at,
        attempts_left=3,
    )


def claim(jobs: Jobs, job: NewJob, owner: str = "worker") -> Claim:
    return jobs.claim(job.job_id, owner)


def cancel(cancellation: JobCancellation, job: NewJob) -> None:
    cancellation.cancel(job.job_id, job.poll_token.get_secret_value())


def is_cancelled(jobs: Jobs, job: NewJob) -> bool:
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    return (view.status, view.outcome) == (JobStatus.FAILED, CANCELLED)


def is_open(redis: Redis, challenge: NewChallenge) -> bool:
    name = token_hash(challenge.challenge_id.get_secret_value())
    return bool(redis.exists(f"fittrack:challenge:{name}"))


def events(redis: Redis) -> list[tuple[EventKind, str]]:
    found = [event for _, event in EventOutbox(redis).oldest(10) if event is not None]
    return [(event.kind, event.outcome) for event in found]


def test_a_queued_job_ends_at_once(
    jobs: Jobs, redis: Redis, login: NewJob, cancellation: JobCancellation
) -> None:
    cancel(cancellation, login)
    assert is_cancelled(jobs, login)
    assert redis.exists(f"fittrack:job:{login.job_id}:input") == 0
    assert JobCounters(redis).queued(["login"]) == {"login": 0}
    assert JobCounters(redis).ended() == {("login", "cancelled"): 1}
    assert events(redis)[-1] == (EventKind.SIGN_IN_FAILED, "cancelled")
    with pytest.raises(JobNotFoundError):
        claim(jobs, login)
    new_login(jobs)  # its account is free


def test_cancelling_again_changes_nothing(
    jobs: Jobs, redis: Redis, login: NewJob, cancellation: JobCancellation
) -> None:
    for _ in range(3):
        cancel(cancellation, login)
    running = new_login(jobs)
    claim(jobs, running)
    for _ in range(3):
        cancel(cancellation, running)
    assert is_cancelled(jobs, running)
    assert events(redis).count((EventKind.SIGN_IN_FAILED, "cancelled")) == 2


def test_only_who_holds_the_poll_token_cancels(
    jobs: Jobs, login: NewJob, cancellation: JobCancellation
) -> None:
    other = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, Origin(account="bob"))
    with pytest.raises(JobNotFoundError):
        cancellation.cancel(login.job_id, other.poll_token.get_secret_value())
    with pytest.raises(JobNotFoundError):
        cancellation.cancel(jobs.new_id(), login.poll_token.get_secret_value())
    assert not is_cancelled(jobs, login)


def test_a_job_that_waits_for_a_code_closes_its_challenge(
    jobs: Jobs,
    redis: Redis,
    challenges: ChallengeStore,
    login: NewJob,
    challenge: NewChallenge,
    cancellation: JobCancellation,
) -> None:
    jobs.end(claim(jobs, login), code_required(challenge))
    cancel(cancellation, login)
    assert is_cancelled(jobs, login)
    assert not is_open(redis, challenge)
    with pytest.raises(ChallengeNotFoundError):
        challenges.reserve(challenge.challenge_id, "a code's job")


@pytest.mark.parametrize("begun", [False, True])
def test_a_code_that_is_on_its_way_is_cancelled_with_the_sign_in(
    jobs: Jobs,
    redis: Redis,
    challenges: ChallengeStore,
    login: NewJob,
    challenge: NewChallenge,
    cancellation: JobCancellation,
    begun: bool,
) -> None:
    jobs.end(claim(jobs, login), code_required(challenge))
    code = submitted_code(jobs, challenges, challenge)
    held = claim(jobs, code) if begun else None
    cancel(cancellation, login)
    assert is_cancelled(jobs, login)
    assert is_cancelled(jobs, code)
    if held is None:
        held = claim(jobs, code)
        assert held.cancelled
    with pytest.raises(JobCancelledError):
        jobs.keep_progress(held, JobStage.READING_PROFILE, garmin_tokens())
    assert jobs.end(held, CANCELLED) == "cancelled"


@pytest.mark.parametrize("begun", [False, True])
def test_cancelling_a_code_closes_the_challenge(
    jobs: Jobs,
    redis: Redis,
    challenges: ChallengeStore,
    challenge: NewChallenge,
    cancellation: JobCancellation,
    begun: bool,
) -> None:
    code = submitted_code(jobs, challenges, challenge)
    held = claim(jobs, code) if begun else None
    cancel(cancellation, code)
    assert is_cancelled(jobs, code)
    assert not is_open(redis, challenge)
    if held is not None:  # what its worker comes back with does not open it again
        assert challenges.reject(challenge.challenge_id, code.job_id, PENDING) == 0
        jobs.end(held, WRONG_CODE)
        assert is_cancelled(jobs, code)
        assert not is_open(redis, challenge)


def test_a_running_job_keeps_its_account_until_its_worker_ends_it(
    jobs: Jobs, redis: Redis, login: NewJob, cancellation: JobCancellation
) -> None:
    held = claim(jobs, login)
    cancel(cancellation, login)
    assert is_cancelled(jobs, login)
    assert jobs.renew(held)
    with pytest.raises(SignInInProgressError):
        new_login(jobs)
    with pytest.raises(JobCancelledError):
        jobs.keep_progress(held, JobStage.READING_PROFILE, garmin_tokens())
    assert jobs.end(held, CANCELLED) == "cancelled"
    assert is_cancelled(jobs, login)
    assert JobCounters(redis).ended() == {("login", "cancelled"): 1}
    assert events(redis).count((EventKind.SIGN_IN_FAILED, "cancelled")) == 1
    new_login(jobs)


def test_a_challenge_that_a_cancelled_job_comes_back_with_is_closed(
    jobs: Jobs,
    redis: Redis,
    login: NewJob,
    challenge: NewChallenge,
    cancellation: JobCancellation,
) -> None:
    held = claim(jobs, login)
    cancel(cancellation, login)
    assert jobs.end(held, code_required(challenge)) == "cancelled"
    assert is_cancelled(jobs, login)
    assert not is_open(redis, challenge)


def test_a_worker_that_takes_over_a_cancelled_job_knows(
    jobs: Jobs, redis: Redis, login: NewJob, cancellation: JobCancellation
) -> None:
    assert not claim(jobs, login).cancelled
    cancel(cancellation, login)
    lose_lease(redis, login.job_id)
    assert claim(jobs, login, "another").cancelled


def test_what_is_being_stored_or_has_ended_is_not_cancelled(
    jobs: Jobs,
    redis: Redis,
    challenges: ChallengeStore,
    login: NewJob,
    challenge: NewChallenge,
    cancellation: JobCancellation,
) -> None:
    held = claim(jobs, login)
    jobs.keep_progress(held, JobStage.STORING, garmin_tokens())
    with pytest.raises(JobNotCancellableError):
        cancel(cancellation, login)
    jobs.end(held, SUCCESS)
    with pytest.raises(JobNotCancellableError):
        cancel(cancellation, login)
    assert jobs.view(login.job_id, login.poll_token.get_secret_value()).outcome == SUCCESS
    waiting = new_login(jobs)
    jobs.end(claim(jobs, waiting), code_required(challenge))
    code = submitted_code(jobs, challenges, challenge)
    jobs.keep_progress(claim(jobs, code), JobStage.STORING, garmin_tokens())
    with pytest.raises(JobNotCancellableError):
        cancel(cancellation, waiting)
    assert is_open(redis, challenge)


def test_an_import_is_cancelled_only_while_it_is_queued(
    jobs: Jobs, cancellation: JobCancellation
) -> None:
    """Its refresh token may have been replaced at Garmin, and what replaced it must be stored."""
    queued, running = (
        jobs.create(jobs.new_id(), JobKind.IMPORT, CREDENTIALS, Origin(account=name))
        for name in ("anna", "bob")
    )
    claim(jobs, running)
    cancel(cancellation, queued)
    assert is_cancelled(jobs, queued)
    with pytest.raises(JobNotCancellableError):
        cancel(cancellation, running)


def test_of_a_claim_and_a_cancellation_at_once_both_know_who_was_first(
    jobs: Jobs, redis: Redis, cancellation: JobCancellation
) -> None:
    for _ in range(10):
        login = new_login(jobs)

        def run(number: int, login: NewJob = login) -> Claim | None:
            if number:
                return claim(jobs, login)
            cancel(cancellation, login)
            return None

        cancelled, claimed = at_once(run, 2)
        assert cancelled is None
        assert is_cancelled(jobs, login)
        if isinstance(claimed, FitTrackError):
            assert isinstance(claimed, JobNotFoundError)
        else:
            assert claimed is not None
            assert jobs.end(claimed, SUCCESS) == "cancelled"
        assert is_cancelled(jobs, login)


def test_a_cancelled_job_can_be_polled_for_a_while(
    jobs: Jobs, redis: Redis, login: NewJob, cancellation: JobCancellation
) -> None:
    redis.pexpire(f"fittrack:job:{login.job_id}", timedelta(seconds=2))
    cancel(cancellation, login)
    assert redis.ttl(f"fittrack:job:{login.job_id}") > 100
