"""The limit on failed sign-ins of one account: checked and counted here alone."""

from shared.errors import JobErrorCode
from shared.jobs.states import Failure, Outcome, Success
from shared.redis.connection import Redis
from shared.redis.rate_limits import LOGIN_PER_ACCOUNT, RateLimit, RateLimitedError

_COUNTED = {
    JobErrorCode.INVALID_CREDENTIALS,
    JobErrorCode.MFA_ATTEMPTS_EXHAUSTED,
    JobErrorCode.ACCOUNT_LOCKED,
    JobErrorCode.CAPTCHA_REQUIRED,
    JobErrorCode.GARMIN_ACTION_REQUIRED,
}
"""Garmin's verdicts on the person, not its faults or ours."""


class TooManyFailedSignInsError(RateLimitedError):
    """Too many sign-ins of an account have failed."""

    message = "Too many sign-ins of this account have failed: try again later."


class AccountLimit:
    """Counts sign-ins that Garmin refused, until one succeeds. Accounts are keyed hashes.

    Submissions are not counted: they can't be used to lock a person out. Every
    method raises ServiceUnavailableError when Redis does not answer.
    """

    def __init__(self, redis: Redis, notation: str, mfa_attempts: int) -> None:
        self._limit = RateLimit(redis, LOGIN_PER_ACCOUNT, notation)
        self._mfa_attempts = mfa_attempts

    def check(self, account: str) -> None:
        """Raise TooManyFailedSignInsError if the limit is reached."""
        try:
            self._limit.check(account)
        except RateLimitedError as error:
            raise TooManyFailedSignInsError(error.standing) from None

    def record(self, account: str, outcome: Outcome) -> None:
        """Count a failed sign-in; start again after one that succeeded."""
        if isinstance(outcome, Success):
            self._limit.clear(account)
        elif isinstance(outcome, Failure) and self._counts(outcome):
            self._limit.count(account)

    def _counts(self, failure: Failure) -> bool:
        """Of a challenge's wrong codes the first counts: the last may never be tried."""
        if failure.code is JobErrorCode.MFA_CODE_INVALID:
            return failure.attempts_left == self._mfa_attempts - 1
        return failure.code in _COUNTED
