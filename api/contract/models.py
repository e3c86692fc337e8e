"""What the API reads and writes. `/openapi.json` is generated from these."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SecretStr,
    StringConstraints,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from shared.accounts.tokens import GarminLink
from shared.garmin.types import GarminDomain
from shared.jobs.states import JobErrorCode, JobKind, JobStage

LONGEST_USER_ID = 128
_SECRET_EXAMPLE = "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c"  # noqa: S105 - 43 characters
_JOB_EXAMPLE = "0b6d5d0e-6e0e-4a53-9a3e-4f5b1c0f7a11"
_USER_EXAMPLE = "7e1d2c3b-4a59-4687-9f0e-1d2c3b4a5968"
_LINK_EXAMPLE: dict[str, Any] = {
    "linked": True,
    "domain": "garmin.com",
    "driver": "garth",
    "access_token_expires_at": "2026-11-02T08:00:00Z",
    "refreshable_until": "2027-11-01T08:00:00Z",
}

_CONTROL = r"\x00-\x1f\x7f-\x9f"
_SPACE = rf"[^\S{_CONTROL}]"


@dataclass(frozen=True)
class _Shape:
    """A pattern that is checked before anything is stripped, and that the document shows.

    It means the same to Python and to ECMA-262, and begins with `^` and ends with `$`.
    """

    pattern: str
    message: str

    def check(self, value: object) -> object:
        if isinstance(value, str) and not self.fits(value):
            raise ValueError(self.message)
        return value

    def fits(self, text: str) -> bool:
        # `fullmatch`, as Python's `$` forgives a line break at the end.
        return re.fullmatch(self.pattern, text) is not None

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}


_PlainText = _Shape(rf"^[^{_CONTROL}]*$", "must not hold control characters")
_Username = _Shape(
    rf"^{_SPACE}*[^\s{_CONTROL}][^{_CONTROL}]+[^\s{_CONTROL}]{_SPACE}*$",
    "must have 3 characters or more, spaces around it not counted, and no control characters",
)
USER_ID = _Shape(
    rf"^(?!(?:.*/)?\.{{1,2}}(?:/|$))[^{_CONTROL}]{{1,{LONGEST_USER_ID}}}$",
    "must be 1 to 128 characters, no control characters, and no dot or two between slashes, "
    "which no URL can hold",
)
_SEPARATORS = rf"(?:{_SPACE}|-)*"
_Code = _Shape(
    rf"^{_SEPARATORS}(?:[A-Za-z0-9]{_SEPARATORS}){{4,10}}$", "must be 4 to 10 letters or digits"
)


def _compact_code(code: SecretStr) -> SecretStr:
    """Forgives the spaces and dashes that people copy along with a code."""
    return SecretStr(re.sub(r"[\s-]", "", code.get_secret_value()))


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True)


class LoginRequest(_Request):
    """A sign-in at Garmin."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"username": "runner@example.com", "password": "correct horse"}]
        }
    )

    username: Annotated[
        str,
        StringConstraints(min_length=3, max_length=254),
        _Username,
        AfterValidator(str.strip),
    ] = Field(
        repr=False, description="The e-mail address or name the person signs in to Garmin with."
    )
    password: Annotated[SecretStr, Field(min_length=1, max_length=256), _PlainText]
    domain: GarminDomain = Field(GarminDomain.COM, description="Where the account lives.")
    user_id: Annotated[str, USER_ID] | None = Field(
        None, description="The app's own id for the person; needs an `X-Client-Key`."
    )


class CodeRequest(_Request):
    """The one-time code for a sign-in that asked for one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"challenge_id": _SECRET_EXAMPLE, "mfa_code": "123 456"}]}
    )

    challenge_id: Annotated[SecretStr, Field(min_length=1, max_length=128), _PlainText]
    mfa_code: Annotated[
        SecretStr, Field(min_length=4, max_length=32), _Code, AfterValidator(_compact_code)
    ] = Field(description="4 to 10 letters or digits; spaces and dashes are ignored.")


class JobAccepted(_Response):
    """A job that was enqueued. `poll_token` is told only here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job_id": _JOB_EXAMPLE,
                    "status": "queued",
                    "poll_token": _SECRET_EXAMPLE,
                    "status_url": f"/api/jobs/{_JOB_EXAMPLE}",
                    "expires_in": 900,
                }
            ]
        }
    )

    job_id: str
    status: Literal["queued"] = "queued"
    poll_token: str = Field(repr=False)
    status_url: str
    expires_in: int = Field(description="Seconds for which the job can be polled.")


class _Job(_Response):
    job_id: str
    kind: JobKind
    success: bool = False
    mfa_required: bool = False


class JobInProgress(_Job):
    """A job that has not ended: poll again after `Retry-After` seconds."""

    status: Literal["queued", "running"]
    stage: JobStage


class JobMfaRequired(_Job):
    """A login that waits for a code."""

    status: Literal["mfa_required"] = "mfa_required"
    mfa_required: Literal[True] = True
    mfa_challenge_id: str = Field(repr=False)
    mfa_type: str = Field(description="`email`, `sms`, `app`, or Garmin's own name of another.")
    mfa_destination: str | None = Field(description="Masked, as Garmin gave it.")
    expires_in: int = Field(description="Seconds left for the code.")
    attempts_left: int


class JobUser(_Response):
    id: str
    display_name: str


class JobSucceeded(_Job):
    """A finished sign-in: Garmin's tokens are stored, and here is the session."""

    status: Literal["succeeded"] = "succeeded"
    success: Literal[True] = True
    session_id: str
    access_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a name, no secret
    expires_in: int = Field(description="Seconds until the session expires.")
    user: JobUser


class JobError(_Response):
    code: JobErrorCode
    message: str
    retry_after: int | None = Field(description="Seconds, if it is known when to try again.")


class JobFailed(_Job):
    """A job that failed. With `mfa_challenge_id`, another code may be tried for it."""

    status: Literal["failed"] = "failed"
    error: JobError
    attempts_left: int | None = None
    mfa_challenge_id: str | None = Field(None, repr=False)


JobResponse = JobInProgress | JobMfaRequired | JobSucceeded | JobFailed


class GarminLinkResponse(_Response):
    linked: bool
    domain: GarminDomain | None = None
    driver: str | None = None
    access_token_expires_at: datetime | None = None
    refreshable_until: datetime | None = None

    @classmethod
    def of(cls, link: GarminLink | None) -> "GarminLinkResponse":
        if link is None:
            return cls(linked=False)
        return cls(
            linked=True,
            domain=GarminDomain(link.domain),
            driver=link.driver,
            access_token_expires_at=link.access_expires_at,
            refreshable_until=link.refresh_expires_at,
        )


class SessionResponse(_Response):
    """Who the access token belongs to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "session_id": _JOB_EXAMPLE,
                    "user": {"id": _USER_EXAMPLE, "display_name": "runner"},
                    "created_at": "2026-11-01T08:00:00Z",
                    "expires_at": "2026-12-01T08:00:00Z",
                    "garmin": _LINK_EXAMPLE,
                }
            ]
        }
    )

    session_id: str
    user: JobUser
    created_at: datetime
    expires_at: datetime
    garmin: GarminLinkResponse


class ClientLinkResponse(_Response):
    """The Garmin account that an app has linked to an id of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "member-4711",
                    "user": {"id": _USER_EXAMPLE, "display_name": "runner"},
                    "garmin": _LINK_EXAMPLE,
                }
            ]
        }
    )

    user_id: str = Field(description="The app's own id for the person.")
    user: JobUser
    garmin: GarminLinkResponse


class Health(_Response):
    """Alive, or ready."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


class FieldFault(_Response):
    loc: list[str]
    message: str


class Problem(_Response):
    """An error, as RFC 9457 has it. `code` is stable; `title` and `detail` are for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "No such job, or not with this poll token.",
                    "code": "job_not_found",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldFault] | None = None
    unavailable: list[str] | None = Field(None, description="What does not answer, on a 503.")


JOB_EXAMPLES: dict[str, dict[str, Any]] = {
    "running": {
        "job_id": _JOB_EXAMPLE,
        "kind": "login",
        "status": "running",
        "stage": "contacting_garmin",
        "success": False,
        "mfa_required": False,
    },
    "mfa_required": {
        "job_id": _JOB_EXAMPLE,
        "kind": "login",
        "status": "mfa_required",
        "success": False,
        "mfa_required": True,
        "mfa_challenge_id": _SECRET_EXAMPLE,
        "mfa_type": "email",
        "mfa_destination": "ru*****@example.com",
        "expires_in": 600,
        "attempts_left": 3,
    },
    "succeeded": {
        "job_id": _JOB_EXAMPLE,
        "kind": "mfa_completion",
        "status": "succeeded",
        "success": True,
        "mfa_required": False,
        "session_id": _JOB_EXAMPLE,
        "access_token": _SECRET_EXAMPLE,
        "token_type": "Bearer",
        "expires_in": 2592000,
        "user": {"id": _USER_EXAMPLE, "display_name": "runner"},
    },
    "failed": {
        "job_id": _JOB_EXAMPLE,
        "kind": "mfa_completion",
        "status": "failed",
        "success": False,
        "mfa_required": False,
        "error": {
            "code": "mfa_code_invalid",
            "message": "Garmin rejected the code.",
            "retry_after": None,
        },
        "attempts_left": 2,
        "mfa_challenge_id": _SECRET_EXAMPLE,
    },
}
