"""Which outcomes count against an account."""

import pytest
from pydantic import SecretStr

from shared import errors
from shared.jobs.account_limit import AccountLimit, TooManyFailedSignInsError
from shared.jobs.states import Failure
from shared.redis.connection import Redis
from tests.shared.jobs.outcomes import CODE_REQUIRED, SUCCESS

ATTEMPTS = 3


@pytest.fixture
def limit(redis: Redis) -> AccountLimit:
    return AccountLimit(redis, "2/hour", ATTEMPTS)


def wrong_code(attempts_left: int) -> errors.MfaCodeInvalidError:
    return errors.MfaCodeInvalidError().with_challenge(SecretStr("challenge"), attempts_left)


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (errors.InvalidCredentialsError(), True),
        (errors.MfaAttemptsExhaustedError(), True),
        (errors.AccountLockedError(), True),
        (errors.CaptchaRequiredError(), True),
        (wrong_code(ATTEMPTS - 1), True),
        (wrong_code(ATTEMPTS - 2), False),
        (errors.GarminUnavailableError(), False),
        (errors.GarminRateLimitedError(), False),
        (errors.TimedOutError(), False),
        (errors.InterruptedSignInError(), False),
        (errors.InternalJobError(), False),
    ],
    ids=lambda value: value.code if isinstance(value, errors.SignInError) else None,
)
def test_only_garmins_verdicts_on_the_person_count(
    limit: AccountLimit, error: errors.SignInError, counts: bool
) -> None:
    for _ in range(2):
        limit.check("anna")
        limit.record("anna", Failure.of(error))
    limit.record("anna", CODE_REQUIRED)
    if counts:
        with pytest.raises(TooManyFailedSignInsError) as caught:
            limit.check("anna")
        assert 0 < caught.value.retry_after <= 3600
    else:
        limit.check("anna")
    limit.check("bob")


def test_a_successful_sign_in_starts_the_count_again(limit: AccountLimit) -> None:
    for _ in range(2):
        limit.record("anna", Failure.of(errors.InvalidCredentialsError()))
    limit.record("anna", SUCCESS)
    limit.check("anna")
