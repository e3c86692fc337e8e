"""Every error this service raises on purpose.

Each class has the `code` and the `message` that a client gets, be it in an HTTP problem or in a
failed job. Instances carry data, never formatted text of a library: a library's message can hold
a ticket.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from pydantic import SecretStr

_A_DAY = 24 * 3600


class JobErrorCode(StrEnum):
    """Why a job failed, as the API says it."""

    INVALID_CREDENTIALS = "invalid_credentials"
    MFA_CODE_INVALID = "mfa_code_invalid"
    MFA_ATTEMPTS_EXHAUSTED = "mfa_attempts_exhausted"
    ACCOUNT_LOCKED = "account_locked"
    CAPTCHA_REQUIRED = "captcha_required"
    GARMIN_ACTION_REQUIRED = "garmin_action_required"
    GARMIN_RATE_LIMITED = "garmin_rate_limited"
    GARMIN_UNAVAILABLE = "garmin_unavailable"
    GARMIN_UNREACHABLE = "garmin_unreachable"
    RATE_LIMITED = "rate_limited"
    TOKENS_REJECTED = "tokens_rejected"
    CANCELLED = "cancelled"
    TOKENS_UNREADABLE = "tokens_unreadable"
    TOKENS_NOT_RENEWABLE = "tokens_not_renewable"
    WRONG_DOMAIN = "wrong_domain"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"
    INTERNAL_ERROR = "internal_error"


class FitTrackError(Exception):
    """The base class."""

    code: ClassVar[str] = "internal_error"
    message: str = "Something went wrong here."


class ConfigurationError(FitTrackError):
    """The process can't start as it is configured. The text is written for the operator."""


class SealBrokenError(FitTrackError):
    """A sealed value does not open: another key, another purpose or subject, or damaged."""


class ServiceUnavailableError(FitTrackError):
    """Redis, the broker or the database did not answer in time. `retry_after` is in seconds."""

    code = "service_unavailable"
    message = "Something this service depends on does not answer: try again shortly."

    def __init__(self, what: str, retry_after: int = 5) -> None:
        super().__init__(what)
        self.what = what
        self.retry_after = retry_after


class SubmissionUncertainError(ServiceUnavailableError):
    """A job may have been submitted: neither the broker nor Redis says whether it was."""


class GarminRefusesError(ServiceUnavailableError):
    """Garmin refuses every driver for now."""

    message = "Garmin refuses sign-ins for now: try again later."

    def __init__(self, retry_after: int) -> None:
        super().__init__("garmin", retry_after)


class ScopeMissingError(FitTrackError):
    """The client key, or any session, may not be used for this."""

    code = "scope_missing"
    message = "This key may not be used for that: the operator can grant it."


class UnauthorizedError(FitTrackError):
    """The bearer token is missing, unknown, revoked or expired."""

    code = "unauthorized"
    message = "A valid bearer token is needed."


class UnknownClientError(FitTrackError):
    """No client has this key."""

    code = "unauthorized"
    message = "A valid X-Client-Key is needed."


class InvalidClientNameError(FitTrackError):
    """A client's name is 1 to 32 letters, digits, dots, dashes or underscores."""


class ClientExistsError(FitTrackError):
    """There is a client with this name."""


class LinkNotFoundError(FitTrackError):
    """The app has linked no Garmin account to this `user_id`."""

    code = "link_not_found"
    message = "No Garmin account is linked to this user."


class SignInInProgressError(FitTrackError):
    """A sign-in for the same Garmin account is running, as the job `job_id`."""

    code = "sign_in_in_progress"
    message = "A sign-in for this account is running: poll its job, or wait for its end."

    def __init__(self, retry_after: int, job_id: str = "") -> None:
        super().__init__("sign-in in progress")
        self.retry_after = retry_after
        self.job_id = job_id


class IdempotencyKeyReusedError(FitTrackError):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_key_reused"
    message = "This Idempotency-Key came with another body before."


class JobNotFoundError(FitTrackError):
    """Unknown job or wrong poll token: one answer for both."""

    code = "job_not_found"
    message = "No such job, or not with this poll token."


class JobLostError(FitTrackError):
    """This worker no longer owns the job: another took it over, or it has ended."""


class ChallengeNotFoundError(FitTrackError):
    """Unknown, expired, finished or used up: one answer for all."""

    code = "challenge_not_found"
    message = "No such challenge: unknown, expired, finished or used up."


class ChallengeBusyError(FitTrackError):
    """A code for the challenge is being checked right now."""

    code = "challenge_busy"
    message = "A code for this challenge is being checked right now."

    def __init__(self, retry_after: int) -> None:
        super().__init__("challenge busy")
        self.retry_after = retry_after


class SignInError(FitTrackError):
    """A sign-in at Garmin failed. `retry_after` is in seconds, or None.

    `challenge_id` and `attempts_left` are there when another code may be tried.
    """

    code: ClassVar[JobErrorCode] = JobErrorCode.INTERNAL_ERROR
    message = "Something went wrong here: the operator's log has the job id."

    def __init__(self, retry_after: int | None = None) -> None:
        super().__init__(type(self).__name__)
        self.retry_after = retry_after
        self.challenge_id: SecretStr | None = None
        self.attempts_left: int | None = None

    def with_challenge(self, challenge_id: SecretStr, attempts_left: int) -> Self:
        """Say that another code may be tried for this challenge."""
        self.challenge_id, self.attempts_left = challenge_id, attempts_left
        return self


class InvalidCredentialsError(SignInError):
    """Garmin rejected the username or the password."""

    code = JobErrorCode.INVALID_CREDENTIALS
    message = "Garmin rejected the username or the password."


class MfaCodeInvalidError(SignInError):
    """Garmin rejected the code. `state`: the driver's state for the next one, if it changed."""

    code = JobErrorCode.MFA_CODE_INVALID
    message = "Garmin rejected the code."

    def __init__(self, state: str | None = None) -> None:
        super().__init__()
        self.state = state


class MfaAttemptsExhaustedError(SignInError):
    """Too many wrong codes: the pending sign-in has ended, here or at Garmin."""

    code = JobErrorCode.MFA_ATTEMPTS_EXHAUSTED
    message = "Too many wrong codes: sign in again for a new one."


class AccountLockedError(SignInError):
    """Garmin has locked the account."""

    code = JobErrorCode.ACCOUNT_LOCKED
    message = "Garmin has locked this account: unlock it at Garmin first."


class CaptchaRequiredError(SignInError):
    """Garmin requires a captcha, which the user has to solve at Garmin."""

    code = JobErrorCode.CAPTCHA_REQUIRED
    message = "Garmin asks for a captcha: sign in once at Garmin first."


class GarminActionRequiredError(SignInError):
    """The person has to finish something at Garmin: consent, phone number, password, MFA set-up."""

    code = JobErrorCode.GARMIN_ACTION_REQUIRED
    message = (
        "Garmin wants something finished first: sign in at https://connect.garmin.com in a "
        "browser, do what it asks, then sign in here again."
    )


class GarminRateLimitedError(SignInError):
    """Garmin refuses this client or account for now."""

    code = JobErrorCode.GARMIN_RATE_LIMITED
    message = "Garmin refuses sign-ins for now: try again later."


class CodeLimitReachedError(SignInError):
    """Too many codes were requested: Garmin sends no new one for a day.

    It says nothing of a code that was entered: the last one that was sent still counts.
    """

    code = JobErrorCode.GARMIN_RATE_LIMITED
    message = (
        "Garmin sends no new code for this account for a day: enter the last one that it sent, "
        "if a sign-in still waits for it, or sign in again tomorrow."
    )

    def __init__(self, retry_after: int | None = None) -> None:
        super().__init__(retry_after or _A_DAY)


class RefusalScope(StrEnum):
    """Whom a refusal is about, as far as it can be recognised."""

    ACCOUNT = "account"
    """Perhaps only this account: it alone waits, until other accounts are refused as well."""

    CLIENT = "client"
    """This address or client: Cloudflare's pages, `error code: 10xx`, a 403 in HTML."""


class ClientRefusedError(GarminRateLimitedError):
    """Garmin refuses the driver, without a verdict on the user: another driver may be tried.

    `final`: Garmin itself refused, in JSON, or named the account. The password must not be posted
    again for this job.
    """

    def __init__(
        self,
        retry_after: int | None = None,
        *,
        scope: RefusalScope = RefusalScope.ACCOUNT,
        final: bool = False,
    ) -> None:
        super().__init__(retry_after)
        self.scope = scope
        self.final = final


class ProxyRefusedError(ClientRefusedError):
    """Garmin refuses the address of a proxy, and there is another: nobody has to wait."""


class TicketRefusedError(ClientRefusedError):
    """Garmin accepted the password, and the code, but gives this driver no tokens for it."""


class DriverFailedError(SignInError):
    """A driver can't work, and has not sent the password: another driver may be tried."""

    code = JobErrorCode.GARMIN_UNAVAILABLE
    message = "Garmin did not give a usable answer: try again later."


@dataclass(frozen=True)
class AnswerShape:
    """What may be logged of an answer that has no known meaning: nothing of its content."""

    step: str
    status: int
    content_type: str
    length: int
    keys: tuple[str, ...]
    """Names in a JSON object, `outer` and `outer.inner`."""

    title: str
    """The page's, if it is one of a known list; `other`; empty without one."""


class GarminUnavailableError(SignInError):
    """Garmin answered with a 5xx, something unreadable, or not at all."""

    code = JobErrorCode.GARMIN_UNAVAILABLE
    message = "Garmin did not give a usable answer: try again later."


class GarminUnreachableError(GarminUnavailableError):
    """Garmin could not be reached: DNS, TLS, a proxy, or no answer in time.

    `unsent`: no connection came about, and no secret had been sent before.
    """

    code = JobErrorCode.GARMIN_UNREACHABLE
    message = "This service could not reach Garmin: try again later."

    def __init__(self, retry_after: int | None = None, *, unsent: bool = False) -> None:
        super().__init__(retry_after)
        self.unsent = unsent


class TokensRejectedError(SignInError):
    """Garmin no longer accepts the tokens: the user has to sign in again."""

    code = JobErrorCode.TOKENS_REJECTED
    message = "Garmin no longer accepts these tokens: sign in again."


class InterruptedSignInError(SignInError):
    """A worker died during the sign-in, and it is unknown what Garmin received."""

    code = JobErrorCode.INTERRUPTED
    message = "The sign-in was interrupted: sign in again."


class SignInRateLimitedError(SignInError):
    """A limit of this service was reached while the job waited for a worker."""

    code = JobErrorCode.RATE_LIMITED
    message = "Too many sign-ins or codes for this account: try again later."


class SignInRevokedError(InterruptedSignInError):
    """The person unlinked, or logged out everywhere, after the sign-in began."""


class SignInAgainError(InterruptedSignInError):
    """Garmin accepted the sign-in, but there are no usable tokens, and its code is used up.

    `retry_after` is None where another driver is free: the person can sign in again at once.
    """

    message = "Garmin accepted the sign-in, but gave no usable tokens: sign in again now."


class PasswordSpentError(InterruptedSignInError):
    """The job's password was posted as often as it may be, and no verdict was kept."""


class TimedOutError(SignInError):
    """The job's deadline passed."""

    code = JobErrorCode.TIMED_OUT
    message = "The sign-in took too long: try again."


class SignInExpiredError(TimedOutError):
    """The pending sign-in has expired, here or at Garmin: no code can complete it."""


class InternalJobError(SignInError):
    """A bug, or a sealed value that does not open."""
