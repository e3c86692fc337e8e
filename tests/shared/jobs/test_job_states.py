"""Every error of a sign-in has its code, and every code its message."""

from typing import get_args

import pytest

from shared import errors
from shared.errors import JobErrorCode
from shared.garmin import imports
from shared.jobs.states import OUTCOME_TYPES, Failure, JobStatus, PolledOutcome


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidCredentialsError(), "invalid_credentials"),
        (errors.MfaCodeInvalidError("state"), "mfa_code_invalid"),
        (errors.MfaAttemptsExhaustedError(), "mfa_attempts_exhausted"),
        (errors.AccountLockedError(), "account_locked"),
        (errors.CaptchaRequiredError(), "captcha_required"),
        (errors.GarminActionRequiredError(), "garmin_action_required"),
        (errors.GarminRateLimitedError(7), "garmin_rate_limited"),
        (errors.ClientRefusedError(7), "garmin_rate_limited"),
        (errors.GarminUnavailableError(7), "garmin_unavailable"),
        (errors.GarminUnreachableError(7), "garmin_unreachable"),
        (errors.DriverFailedError(), "garmin_unavailable"),
        (errors.TokensRejectedError(), "tokens_rejected"),
        (errors.CodeLimitReachedError(), "garmin_rate_limited"),
        (errors.InterruptedSignInError(), "interrupted"),
        (errors.SignInRateLimitedError(60), "rate_limited"),
        (errors.TimedOutError(), "timed_out"),
        (errors.SignInExpiredError(), "timed_out"),
        (imports.TokensUnreadableError(), "tokens_unreadable"),
        (imports.TokensUnreadableError("garth's tokens", "one is missing"), "tokens_unreadable"),
        (imports.TokensNotRenewableError(), "tokens_not_renewable"),
        (imports.RenewalOverError(), "tokens_not_renewable"),
        (imports.WrongDomainError(), "wrong_domain"),
        (imports.ImportRejectedError(), "tokens_rejected"),
        (imports.KeyRejectedError(), "tokens_rejected"),
        (errors.SignInError(), "internal_error"),
    ],
)
def test_every_error_has_its_code(error: errors.SignInError, code: str) -> None:
    failure = Failure.of(error)
    assert failure.code == code
    assert failure.retry_after == error.retry_after
    assert failure.message == error.message


def all_below(kind: type[errors.SignInError]) -> set[type[errors.SignInError]]:
    return {kind}.union(*(all_below(child) for child in kind.__subclasses__()))


def test_each_code_belongs_to_an_error_and_no_two_share_a_message() -> None:
    messages = {(kind.code, kind.message) for kind in all_below(errors.SignInError)}
    assert {code for code, _ in messages} == set(JobErrorCode)
    assert len({message for _, message in messages}) == len(messages)


def test_only_what_is_our_own_fault_is_an_internal_error() -> None:
    internal = {k for k in all_below(errors.SignInError) if k.code is JobErrorCode.INTERNAL_ERROR}
    ours = {kind for kind in internal if kind.__module__ == errors.__name__}
    assert ours == {errors.SignInError, errors.InternalJobError}


def test_each_ended_status_has_one_type_of_outcome() -> None:
    assert set(OUTCOME_TYPES) == {status for status in JobStatus if status.ended}
    assert set(OUTCOME_TYPES.values()) == set(get_args(PolledOutcome))
