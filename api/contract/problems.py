"""Error bodies: RFC 9457 problems with a stable code."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from shared.accounts.states import StateReason


class ProblemCode(StrEnum):
    """What went wrong, for programs. A code never changes its meaning."""

    INVALID_REQUEST = "invalid_request"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    JOB_NOT_FOUND = "job_not_found"
    CHALLENGE_NOT_FOUND = "challenge_not_found"
    LINK_NOT_FOUND = "link_not_found"
    CONNECT_SESSION_NOT_FOUND = "connect_session_not_found"
    CONNECT_SESSION_ENDED = "connect_session_ended"
    SCOPE_MISSING = "scope_missing"
    SIGN_IN_REQUIRED = "sign_in_required"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CHALLENGE_BUSY = "challenge_busy"
    JOB_NOT_CANCELLABLE = "job_not_cancellable"
    RESEND_NOT_POSSIBLE = "resend_not_possible"
    SIGN_IN_IN_PROGRESS = "sign_in_in_progress"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RATE_LIMITED = "rate_limited"
    INTERNAL_ERROR = "internal_error"
    SERVICE_UNAVAILABLE = "service_unavailable"


class FieldFault(BaseModel):
    model_config = ConfigDict(frozen=True)

    loc: list[str] = Field(description="Where: `body`, `query` or `header`, then the name.")
    message: str = Field(description="What is wrong. Never repeats what was sent.")


class Problem(BaseModel):
    """An error, as RFC 9457 defines it. Branch on `code`; `title` and `detail` are for people."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: ProblemCode
    errors: list[FieldFault] | None = Field(None, description="What is invalid, on a 422.")
    reason: StateReason | None = Field(None, description="Why a sign-in is required, on that 409.")
    since: datetime | None = Field(None, description="Since when a sign-in is required.")
    unavailable: list[str] | None = Field(None, description="What does not answer, on a 503.")
