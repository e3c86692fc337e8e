"""Which outcomes count against an account, and how many codes Garmin may be made to send."""

import pytest
from pydantic import SecretStr

from shared import errors
from shared.jobs.account_limit import (
    AccountLimit,
    CodeLimit,
    TooManyCodesError,
    TooManyFailedSignInsError,
)
from shared.jobs.states import Failure
from shared.redis.connection import Redis
from tests.shared.jobs.outcomes import CODE_REQUIRED, SUCCESS
from tests.shared.samples import at_once, keys_that_never_expire

WRONG_PASSWORD = Failure.of(errors.InvalidCredentialsError())
UNAVAILABLE = Failure.of(errors.GarminUnavailableError())


@pytest.fixture
def limit(redis: Redis) -> AccountLimit:
    return AccountLimit(redis, "2/hour")


@pytest.fixture
def codes(redis: Redis) -> CodeLimit:
    return CodeLimit(redis, "3/15minute;10/day")


def wrong_code(attempts_left: int) -> Failure:
    error = errors.MfaCodeInvalidError()
    return Failure.of(error.with_challenge(SecretStr("challenge"), attempts_left))


WRONG_CODE = wrong_code(1)


def locked(limit: AccountLimit, account: str = "anna") -> bool:
    try:
        limit.check(account)
    except TooManyFailedSignInsError:
        return True
    return False


@pytest.mark.parametrize(
    ("failure", "counts"),
    [
        (WRONG_PASSWORD, True),
        (Failure.of(errors.MfaAttemptsExhaustedError()), True),
        (Failure.of(errors.AccountLockedError()), True),
        (Failure.of(errors.CaptchaRequiredError()), True),
        (wrong_code(2), True),
        (wrong_code(1), True),
        (Failure.of(errors.MfaCodeInvalidError()), True),
        (UNAVAILABLE, False),
        (Failure.of(errors.GarminRateLimitedError()), False),
        (Failure.of(errors.TimedOutError()), False),
        (Failure.of(errors.InterruptedSignInError()), False),
        (Failure.of(errors.InternalJobError()), False),
    ],
    ids=lambda value: value.code if isinstance(value, Failure) else None,
)
def test_only_garmins_verdicts_on_the_person_count(
    limit: AccountLimit, failure: Failure, counts: bool
) -> None:
    for job in ("one", "two"):
        limit.check("anna")
        limit.record("anna", job, failure)
    limit.record("anna", "three", CODE_REQUIRED)
    assert locked(limit) == counts
    assert not locked(limit, "bob")


def test_a_refusal_says_when_to_try_again(limit: AccountLimit) -> None:
    for job in ("one", "two"):
        limit.record("anna", job, WRONG_PASSWORD)
    with pytest.raises(TooManyFailedSignInsError) as caught:
        limit.check("anna")
    assert 0 < caught.value.retry_after <= 3600


def test_a_successful_sign_in_starts_the_count_again(limit: AccountLimit) -> None:
    for job in ("one", "two"):
        limit.record("anna", job, WRONG_PASSWORD)
    limit.record("anna", "three", SUCCESS)
    limit.check("anna")


def test_a_job_counts_once_however_often_it_is_recorded(limit: AccountLimit) -> None:
    for _ in range(5):
        limit.record("anna", "one", WRONG_PASSWORD)
    assert not locked(limit)
    limit.record("anna", "two", WRONG_PASSWORD)
    assert locked(limit)


def test_a_code_counts_before_its_verdict_and_once(limit: AccountLimit) -> None:
    for job in ("one", "two"):
        limit.begin_code("anna", job)
        limit.begin_code("anna", job)  # its worker died, another one goes on
        limit.record("anna", job, WRONG_CODE)
    with pytest.raises(TooManyFailedSignInsError):
        limit.begin_code("anna", "three")


def test_of_many_codes_at_once_as_many_as_allowed_are_tried(limit: AccountLimit) -> None:
    answers = at_once(lambda number: limit.begin_code("anna", f"job {number}"))
    assert answers.count(None) == 2


def test_a_code_without_a_verdict_is_taken_back(limit: AccountLimit) -> None:
    for job in ("one", "two", "three"):
        limit.begin_code("anna", job)
        limit.record("anna", job, UNAVAILABLE)
    assert not locked(limit)


@pytest.mark.parametrize("error", [errors.InterruptedSignInError, errors.GarminRateLimitedError])
def test_a_code_that_garmin_may_have_judged_stays_counted(
    limit: AccountLimit, error: type[errors.SignInError]
) -> None:
    for job in ("one", "two"):
        limit.begin_code("anna", job)
        limit.record("anna", job, Failure.of(error()))
    assert locked(limit)


def test_codes_that_garmin_sends_are_limited(codes: CodeLimit) -> None:
    for job in ("one", "two", "three"):
        codes.check("anna")
        for _ in range(3):
            codes.count("anna", job)
    with pytest.raises(TooManyCodesError) as caught:
        codes.check("anna")
    assert 800 < caught.value.retry_after <= 900
    codes.check("bob")


def test_after_garmins_own_limit_no_code_is_requested_for_a_day(
    codes: CodeLimit, redis: Redis
) -> None:
    codes.refuse("anna")
    with pytest.raises(TooManyCodesError) as caught:
        codes.check("anna")
    assert 86_000 < caught.value.retry_after <= 86_400
    codes.check("bob")
    assert keys_that_never_expire(redis) == []
