"""The limits of one account: failed sign-ins and wrong codes, and codes that Garmin sends.

Accounts are keyed hashes. Submissions are not counted: they can't be used to lock a person out.
What a job counts bears the job's id, so that it counts once however often it is repeated.
"""

from dataclasses import dataclass

from shared.errors import JobErrorCode
from shared.jobs.states import Failure, Outcome, Success
from shared.redis.connection import Redis
from shared.redis.rate_limits import (
    CODES_PER_ACCOUNT,
    CODES_REFUSED_BY_GARMIN,
    LOGIN_PER_ACCOUNT,
    RateLimit,
    RateLimitedError,
)

_COUNTED = {
    JobErrorCode.INVALID_CREDENTIALS,
    JobErrorCode.MFA_CODE_INVALID,
    JobErrorCode.MFA_ATTEMPTS_EXHAUSTED,
    JobErrorCode.ACCOUNT_LOCKED,
    JobErrorCode.CAPTCHA_REQUIRED,
    JobErrorCode.GARMIN_ACTION_REQUIRED,
}
"""Garmin's verdicts on the person, not its faults or ours."""


class TooManyFailedSignInsError(RateLimitedError):
    """Too many sign-ins of an account have failed."""

    message = "Too many sign-ins of this account have failed: try again later."


class TooManyCodesError(RateLimitedError):
    """Garmin has sent too many codes for an account."""

    message = (
        "Garmin has sent too many codes for this account: enter the last one, if a sign-in still "
        "waits for it, or try again later."
    )


class AccountLimit:
    """Counts sign-ins and codes that Garmin refused, across challenges, until a sign-in succeeds.

    Every method raises ServiceUnavailableError when Redis does not answer.
    """

    def __init__(self, redis: Redis, notation: str) -> None:
        self._limit = RateLimit(redis, LOGIN_PER_ACCOUNT, notation)

    def check(self, account: str) -> None:
        """Raise TooManyFailedSignInsError if the limit is reached."""
        try:
            self._limit.check(account)
        except RateLimitedError as error:
            raise TooManyFailedSignInsError(error.standing) from None

    def begin_code(self, account: str, job_id: str) -> None:
        """Count a code before Garmin is asked; `record` takes it back if it was not judged.

        So of many codes at once no more are tried than the limit allows, and one counts whose
        worker died. Raises TooManyFailedSignInsError if the limit is reached.
        """
        try:
            self._limit.hit(account, job_id)
        except RateLimitedError as error:
            raise TooManyFailedSignInsError(error.standing) from None

    def record(self, account: str, job_id: str, outcome: Outcome) -> None:
        """Count a failed job; start again after a sign-in that succeeded."""
        match outcome:
            case Success():
                self._limit.clear(account)
            case Failure() if outcome.code in _COUNTED:
                self._limit.count(account, job_id)
            case Failure(code=JobErrorCode.INTERRUPTED | JobErrorCode.GARMIN_RATE_LIMITED):
                pass  # Garmin may have judged the code: a wrong one can get a 429
            case _:
                self._limit.forget(account, job_id)


class CodeLimit:
    """Limits how many codes Garmin is made to send for an account, whoever signs in.

    Every method raises ServiceUnavailableError when Redis does not answer.
    """

    def __init__(self, redis: Redis, notation: str) -> None:
        self._sent = RateLimit(redis, CODES_PER_ACCOUNT, notation)
        self._refused = RateLimit(redis, CODES_REFUSED_BY_GARMIN, "1/day")

    def check(self, account: str) -> None:
        """Raise TooManyCodesError if no new code may be requested."""
        try:
            self._refused.check_with([self._sent], account)
        except RateLimitedError as error:
            raise TooManyCodesError(error.standing) from None

    def count(self, account: str, event: str) -> None:
        """Count a code that Garmin has sent."""
        self._sent.count(account, event)

    def refuse(self, account: str) -> None:
        """Request no new code for a day: Garmin has said that it sends none."""
        self._refused.count(account)


@dataclass(frozen=True)
class SignInLimit:
    """Both limits of a new sign-in, in one call to Redis."""

    failures: AccountLimit
    codes: CodeLimit

    def check(self, account: str) -> None:
        """Raise TooManyFailedSignInsError, or TooManyCodesError, if a limit is reached."""
        codes = self.codes
        try:
            self.failures._limit.check_with((codes._refused, codes._sent), account)
        except RateLimitedError as error:
            if error.standing.limit == LOGIN_PER_ACCOUNT:
                raise TooManyFailedSignInsError(error.standing) from None
            raise TooManyCodesError(error.standing) from None
