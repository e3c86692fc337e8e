"""A challenge that was reserved is given back, counted or deleted, by how its job goes on."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from dev.servers import RedisServer
from shared import errors
from shared.crypto.keyring import Keyring
from shared.garmin.types import CodeSubmission
from shared.jobs.challenges import ChallengeStore
from shared.jobs.queue import JobQueue
from shared.jobs.states import JobKind
from shared.jobs.store import JobStore
from shared.jobs.submission import Submission, Submitter
from shared.origin import UNKNOWN, Origin
from shared.redis.connection import connect
from tests.shared.samples import ATTEMPTS, JOB_TTL, PENDING, nothing_listens


@pytest.fixture
def challenge_id(challenges: ChallengeStore) -> SecretStr:
    return challenges.create(PENDING).challenge_id


def is_open(challenges: ChallengeStore, challenge_id: SecretStr) -> bool:
    try:
        challenges.reserve(challenge_id, "another job")
    except errors.ChallengeNotFoundError:
        return False
    return True


def test_a_failed_submission_gives_the_challenge_back(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    with (
        pytest.raises(errors.ServiceUnavailableError),
        challenges.reserved_for_submission(challenge_id, "job", None),
    ):
        raise errors.ServiceUnavailableError("broker")
    assert is_open(challenges, challenge_id)


class NoBroker(JobQueue):
    """Not there; and when it is called, Redis goes away as well."""

    def __init__(self, redis: RedisServer) -> None:
        super().__init__(f"redis://{nothing_listens()}/0", timeout=1)
        self._redis = redis

    def put(self, kind: JobKind, job_id: str) -> None:
        self._redis.stop()
        super().put(kind, job_id)


def test_a_submission_that_may_have_succeeded_keeps_the_challenge(
    challenges: ChallengeStore, challenge_id: SecretStr, keyring: Keyring, tmp_path: Path
) -> None:
    work = CodeSubmission(challenge_id=challenge_id, code=SecretStr("123456"))
    submission = Submission(JobKind.MFA_COMPLETION, work, UNKNOWN, job_id="job")
    with RedisServer(tmp_path) as server, connect(server.wait_ready().url, timeout=5) as redis:
        submitter = Submitter(JobStore(redis, keyring, JOB_TTL), NoBroker(server))
        with (
            pytest.raises(errors.SubmissionUncertainError),
            challenges.reserved_for_submission(challenge_id, "job", None),
        ):
            submitter.submit(submission)
    with pytest.raises(errors.ChallengeBusyError):
        is_open(challenges, challenge_id)


def test_a_submitted_job_keeps_the_challenge_and_reserves_it_again(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    with challenges.reserved_for_submission(challenge_id, "job", None):
        pass
    with pytest.raises(errors.ChallengeBusyError):
        is_open(challenges, challenge_id)
    with challenges.reserved_for_check(challenge_id, "job", None) as challenge:
        assert challenge.pending == PENDING
    assert not is_open(challenges, challenge_id)


def check(challenges: ChallengeStore, challenge_id: SecretStr, error: Exception) -> None:
    with challenges.reserved_for_check(challenge_id, "job", None):
        raise error


def test_a_wrong_code_is_counted_and_replaces_the_state(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    with pytest.raises(errors.MfaCodeInvalidError) as caught:
        check(challenges, challenge_id, errors.MfaCodeInvalidError("new state"))
    assert caught.value.challenge_id == challenge_id
    assert caught.value.attempts_left == ATTEMPTS - 1
    reserved = challenges.reserve(challenge_id, "another job")
    assert reserved.pending.state.get_secret_value() == "new state"


def test_the_last_wrong_code_ends_the_challenge(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    for number in range(ATTEMPTS - 1):
        challenges.reserve(challenge_id, f"job {number}")
        challenges.reject(challenge_id, f"job {number}")
    with pytest.raises(errors.MfaAttemptsExhaustedError):
        check(challenges, challenge_id, errors.MfaCodeInvalidError())
    assert not is_open(challenges, challenge_id)


def test_a_wrong_code_for_a_challenge_that_a_newer_sign_in_ended_stays_a_wrong_code(
    challenges: ChallengeStore,
) -> None:
    anna = Origin(account="keyed-hash-of-anna")
    older = challenges.create(PENDING, anna).challenge_id
    newer = []

    def check_while_a_newer_one_begins() -> None:
        with challenges.reserved_for_check(older, "job", None):
            newer.append(challenges.create(PENDING, anna).challenge_id)
            raise errors.MfaCodeInvalidError

    with pytest.raises(errors.MfaCodeInvalidError) as caught:
        check_while_a_newer_one_begins()
    assert caught.value.challenge_id is None
    assert challenges.reserve(newer[0], "another job").attempts_left == ATTEMPTS


@pytest.mark.parametrize(
    "error",
    [
        errors.MfaAttemptsExhaustedError(),
        errors.AccountLockedError(),
        errors.GarminActionRequiredError(),
        errors.SignInExpiredError(),
        errors.InterruptedSignInError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_ends_the_sign_in_at_garmin_ends_the_challenge(
    challenges: ChallengeStore, challenge_id: SecretStr, error: errors.SignInError
) -> None:
    with pytest.raises(type(error)) as caught:
        check(challenges, challenge_id, error)
    assert caught.value.challenge_id is None
    assert not is_open(challenges, challenge_id)


@pytest.mark.parametrize(
    "error",
    [
        errors.GarminUnavailableError(),
        errors.GarminRateLimitedError(60),
        errors.CaptchaRequiredError(),
        errors.CodeLimitReachedError(),
        errors.SignInRateLimitedError(60),
        errors.TimedOutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_a_verdict_on_the_code_another_may_be_tried(
    challenges: ChallengeStore, challenge_id: SecretStr, error: errors.SignInError
) -> None:
    with pytest.raises(type(error)) as caught:
        check(challenges, challenge_id, error)
    assert caught.value.challenge_id == challenge_id
    assert caught.value.attempts_left == ATTEMPTS
    assert is_open(challenges, challenge_id)


@pytest.mark.parametrize(
    "error",
    [errors.ServiceUnavailableError("redis"), errors.JobLostError(), RuntimeError()],
    ids=lambda error: type(error).__name__,
)
def test_a_run_that_was_cut_off_keeps_the_challenge_for_the_next_one(
    challenges: ChallengeStore, challenge_id: SecretStr, error: Exception
) -> None:
    with pytest.raises(type(error)):
        check(challenges, challenge_id, error)
    with pytest.raises(errors.ChallengeBusyError):
        is_open(challenges, challenge_id)
