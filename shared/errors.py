"""Every error this service raises on purpose.

Subclasses carry data, never formatted text of a library: a library's message can hold a ticket.
`api/http/problems.py` turns them into HTTP problems, `shared/jobs/states.py` into job errors.
"""


class FitTrackError(Exception):
    """The root of all of them."""


class ConfigurationError(FitTrackError):
    """The process can't start as it is configured. The text is written for the operator."""


class SealBrokenError(FitTrackError):
    """A sealed value does not open: another key, another purpose or subject, or damaged."""


class ServiceUnavailableError(FitTrackError):
    """Redis, the broker or the database did not answer in time; or Garmin refuses every driver.

    `retry_after` is in seconds.
    """

    def __init__(self, what: str, retry_after: int = 5) -> None:
        super().__init__(what)
        self.what = what
        self.retry_after = retry_after


class UnauthorizedError(FitTrackError):
    """No, an unknown, a revoked or an expired bearer token."""


class UnknownClientError(FitTrackError):
    """No client has this key."""


class InvalidClientNameError(FitTrackError):
    """A client's name is 1 to 32 letters, digits, dots, dashes or underscores."""


class ClientExistsError(FitTrackError):
    """There is a client with this name."""


class LinkNotFoundError(FitTrackError):
    """This client has linked no Garmin account to this id of its own."""


class SignInInProgressError(FitTrackError):
    """A sign-in for the same Garmin account is running."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("sign-in in progress")
        self.retry_after = retry_after


class IdempotencyKeyReusedError(FitTrackError):
    """The same Idempotency-Key came with another body."""


class JobNotFoundError(FitTrackError):
    """Unknown job or wrong poll token: one answer for both."""


class JobLostError(FitTrackError):
    """This worker no longer owns the job: another took it over, or it has ended."""


class ChallengeNotFoundError(FitTrackError):
    """Unknown, expired, finished or used up: one answer for all."""


class ChallengeBusyError(FitTrackError):
    """A code for the challenge is being checked right now."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("challenge busy")
        self.retry_after = retry_after


class SignInError(FitTrackError):
    """A sign-in at Garmin did not go through. `retry_after` is in seconds, or None."""

    def __init__(self, retry_after: int | None = None) -> None:
        super().__init__(type(self).__name__)
        self.retry_after = retry_after


class InvalidCredentialsError(SignInError):
    """Garmin rejected the username or the password."""


class MfaCodeInvalidError(SignInError):
    """Garmin rejected the code. `state`: the driver's state for the next one, if it changed."""

    def __init__(self, state: str | None = None) -> None:
        super().__init__()
        self.state = state


class MfaAttemptsExhaustedError(SignInError):
    """Too many wrong codes; the half-done sign-in is gone, here or at Garmin."""


class AccountLockedError(SignInError):
    """Garmin has locked the account."""


class CaptchaRequiredError(SignInError):
    """Garmin wants a captcha, which only the person can solve, at Garmin."""


class GarminRateLimitedError(SignInError):
    """Garmin refuses this client or account for now."""


class ClientRefusedError(GarminRateLimitedError):
    """Garmin refuses this *client*, with no verdict on the person: another driver may be tried."""


class GarminUnavailableError(SignInError):
    """Garmin answers 5xx, garbage or nothing."""


class TokensRejectedError(SignInError):
    """Garmin no longer accepts these tokens: the person has to sign in again."""


class InterruptedSignInError(SignInError):
    """A worker died half-way, and what Garmin saw can't be known."""


class TimedOutError(SignInError):
    """The job's deadline passed."""


class SignInExpiredError(TimedOutError):
    """The half-done sign-in is too old, here or at Garmin: no code finishes it any more."""
