"""The kinds, statuses, transitions and outcomes of jobs."""

import uuid
from datetime import datetime
from enum import StrEnum

from shared.crypto.secret import Sealable, Secret
from shared.errors import JobErrorCode, SignInError


class JobCancelledError(SignInError):
    """The submitter has cancelled the job."""

    code = JobErrorCode.CANCELLED
    message = "The sign-in was cancelled."


class JobKind(StrEnum):
    LOGIN = "login"
    MFA_COMPLETION = "mfa_completion"
    CODE_RESEND = "code_resend"
    IMPORT = "import"
    REFRESH = "refresh"


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


class CodeRequested(Sealable):
    """The outcome of a login that needs a code, and of a code that was sent again."""

    challenge_id: Secret
    mfa_type: str
    mfa_destination: str | None
    expires_at: datetime
    attempts_left: int
    can_resend: bool = False


class Success(Sealable):
    """The outcome of a sign-in or import that went through.

    `access_token` is the user session's. `exclusive`, after an import: whether the tokens can no
    longer be renewed where they came from.
    """

    session_id: str
    access_token: Secret
    session_expires_at: datetime
    user_id: str
    display_name: str
    exclusive: bool | None = None


class RefreshRequest(Sealable):
    """What a refresh is about: the tokens of one row, while they are of this generation."""

    token_id: uuid.UUID
    generation: int


class Refreshed(Sealable):
    """The outcome of a refresh that went through, or was not needed any more.

    The tokens are in the database. `user_id` is None if they have been deleted meanwhile.
    """

    user_id: str | None = None
    driver: str = ""


class Failure(Sealable):
    """The outcome of a job that failed.

    `challenge_id` and `attempts_left` are there when another code may be tried.
    """

    code: JobErrorCode
    message: str = ""
    retry_after: int | None = None
    challenge_id: Secret | None = None
    attempts_left: int | None = None

    @classmethod
    def of(cls, error: SignInError) -> "Failure":
        return cls(
            code=error.code,
            message=error.message,
            retry_after=error.retry_after,
            challenge_id=error.challenge_id,
            attempts_left=error.attempts_left,
        )


PolledOutcome = CodeRequested | Success | Failure
"""Of a job that its submitter polls."""

Outcome = PolledOutcome | Refreshed

OUTCOME_TYPES: dict[JobStatus, type[PolledOutcome]] = {
    JobStatus.MFA_REQUIRED: CodeRequested,
    JobStatus.SUCCEEDED: Success,
    JobStatus.FAILED: Failure,
}


def status_of(outcome: Outcome) -> JobStatus:
    """Return the status of a job that has ended so."""
    if isinstance(outcome, Refreshed):
        return JobStatus.SUCCEEDED
    return next(status for status, kind in OUTCOME_TYPES.items() if isinstance(outcome, kind))
