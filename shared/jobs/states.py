"""What a job can be, how it may move, and how it may end."""

from datetime import datetime
from enum import StrEnum

from shared import errors
from shared.crypto.secret import Sealable, Secret


class JobKind(StrEnum):
    LOGIN = "login"
    MFA_COMPLETION = "mfa_completion"


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    MFA_REQUIRED = "mfa_required"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING}),
    JobStatus.RUNNING: frozenset(
        {JobStatus.RUNNING, JobStatus.MFA_REQUIRED, JobStatus.SUCCEEDED, JobStatus.FAILED}
    ),
    JobStatus.MFA_REQUIRED: frozenset(),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
}
"""From each status, where to. `running` to `running`: a next stage, or another worker."""


class JobStage(StrEnum):
    """What a job that has not ended is doing."""

    WAITING_FOR_WORKER = "waiting_for_worker"
    CONTACTING_GARMIN = "contacting_garmin"
    CHECKING_CODE = "checking_code"
    READING_PROFILE = "reading_profile"
    STORING = "storing"


class JobErrorCode(StrEnum):
    INVALID_CREDENTIALS = "invalid_credentials"
    MFA_CODE_INVALID = "mfa_code_invalid"
    MFA_ATTEMPTS_EXHAUSTED = "mfa_attempts_exhausted"
    ACCOUNT_LOCKED = "account_locked"
    CAPTCHA_REQUIRED = "captcha_required"
    GARMIN_RATE_LIMITED = "garmin_rate_limited"
    GARMIN_UNAVAILABLE = "garmin_unavailable"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"
    INTERNAL_ERROR = "internal_error"


MESSAGES: dict[JobErrorCode, str] = {
    JobErrorCode.INVALID_CREDENTIALS: "Garmin rejected the username or the password.",
    JobErrorCode.MFA_CODE_INVALID: "Garmin rejected the code.",
    JobErrorCode.MFA_ATTEMPTS_EXHAUSTED: "Too many wrong codes: sign in again for a new one.",
    JobErrorCode.ACCOUNT_LOCKED: "Garmin has locked this account: unlock it at Garmin first.",
    JobErrorCode.CAPTCHA_REQUIRED: "Garmin asks for a captcha: sign in once at Garmin first.",
    JobErrorCode.GARMIN_RATE_LIMITED: "Garmin refuses sign-ins for now: try again later.",
    JobErrorCode.GARMIN_UNAVAILABLE: "Garmin did not give a usable answer: try again later.",
    JobErrorCode.INTERRUPTED: "The sign-in was interrupted half-way: sign in again.",
    JobErrorCode.TIMED_OUT: "The sign-in took too long: try again.",
    JobErrorCode.INTERNAL_ERROR: "Something went wrong here: the operator's log has the job id.",
}

_CODES: dict[type, JobErrorCode] = {
    errors.InvalidCredentialsError: JobErrorCode.INVALID_CREDENTIALS,
    errors.MfaCodeInvalidError: JobErrorCode.MFA_CODE_INVALID,
    errors.MfaAttemptsExhaustedError: JobErrorCode.MFA_ATTEMPTS_EXHAUSTED,
    errors.AccountLockedError: JobErrorCode.ACCOUNT_LOCKED,
    errors.CaptchaRequiredError: JobErrorCode.CAPTCHA_REQUIRED,
    errors.GarminRateLimitedError: JobErrorCode.GARMIN_RATE_LIMITED,
    errors.GarminUnavailableError: JobErrorCode.GARMIN_UNAVAILABLE,
    errors.TokensRejectedError: JobErrorCode.GARMIN_UNAVAILABLE,
    errors.InterruptedSignInError: JobErrorCode.INTERRUPTED,
    errors.TimedOutError: JobErrorCode.TIMED_OUT,
    errors.SignInError: JobErrorCode.INTERNAL_ERROR,
}


class CodeRequested(Sealable):
    """The outcome of a login that needs a code."""

    challenge_id: Secret
    mfa_type: str
    mfa_destination: str | None
    expires_at: datetime
    attempts_left: int


class Success(Sealable):
    """The outcome of a sign-in that went through. `access_token` is the user session's."""

    session_id: str
    access_token: Secret
    session_expires_at: datetime
    user_id: str
    display_name: str


class Failure(Sealable):
    """The outcome of a job that failed.

    `challenge_id` and `attempts_left` are there when another code may be tried.
    """

    code: JobErrorCode
    retry_after: int | None = None
    challenge_id: Secret | None = None
    attempts_left: int | None = None

    @classmethod
    def of(cls, error: errors.SignInError) -> "Failure":
        known = next(kind for kind in type(error).__mro__ if kind in _CODES)
        return cls(code=_CODES[known], retry_after=error.retry_after)

    @property
    def message(self) -> str:
        return MESSAGES[self.code]


Outcome = CodeRequested | Success | Failure

OUTCOME_TYPES: dict[JobStatus, type[Outcome]] = {
    JobStatus.MFA_REQUIRED: CodeRequested,
    JobStatus.SUCCEEDED: Success,
    JobStatus.FAILED: Failure,
}
