"""Every error of a sign-in has its code, and every code its message."""

import pytest

from shared import errors
from shared.jobs.states import (
    MESSAGES,
    OUTCOME_TYPES,
    CodeRequested,
    Failure,
    JobErrorCode,
    JobStatus,
    Success,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidCredentialsError(), "invalid_credentials"),
        (errors.MfaCodeInvalidError("state"), "mfa_code_invalid"),
        (errors.MfaAttemptsExhaustedError(), "mfa_attempts_exhausted"),
        (errors.AccountLockedError(), "account_locked"),
        (errors.CaptchaRequiredError(), "captcha_required"),
        (errors.GarminRateLimitedError(7), "garmin_rate_limited"),
        (errors.ClientRefusedError(7), "garmin_rate_limited"),
        (errors.GarminUnavailableError(7), "garmin_unavailable"),
        (errors.TokensRejectedError(), "garmin_unavailable"),
        (errors.InterruptedSignInError(), "interrupted"),
        (errors.TimedOutError(), "timed_out"),
        (errors.SignInExpiredError(), "timed_out"),
        (errors.SignInError(), "internal_error"),
    ],
)
def test_every_error_has_its_code(error: errors.SignInError, code: str) -> None:
    failure = Failure.of(error)
    assert failure.code == code
    assert failure.retry_after == error.retry_after
    assert failure.message == MESSAGES[JobErrorCode(code)]


def all_below(kind: type[errors.SignInError]) -> set[type[errors.SignInError]]:
    return {kind}.union(*(all_below(child) for child in kind.__subclasses__()))


def test_no_error_of_a_sign_in_is_without_a_code() -> None:
    for kind in all_below(errors.SignInError) - {errors.SignInError}:
        if kind.__module__ == errors.__name__:
            assert Failure.of(kind()).code is not JobErrorCode.INTERNAL_ERROR, kind


def test_every_code_has_a_message_of_its_own() -> None:
    assert set(MESSAGES) == set(JobErrorCode)
    assert len(set(MESSAGES.values())) == len(JobErrorCode)


def test_every_end_has_one_kind_of_outcome() -> None:
    assert set(OUTCOME_TYPES) == {status for status in JobStatus if status.ended}
    assert set(OUTCOME_TYPES.values()) == {CodeRequested, Success, Failure}
