"""What the service answers, as the contract has it. Secrets are a type that hides them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Submitted(Answer):
    """202: a job was made. `expires_in` (seconds) is how long its result can be fetched;
    `retry_after` is the header: when to ask first.
    """

    job_id: str
    status: str = "queued"
    poll_token: SecretStr
    status_url: str
    expires_in: int
    retry_after: int | None = None


class User(Answer):
    id: str
    display_name: str | None = None


class JobError(Answer):
    code: str
    message: str = ""
    retry_after: int | None = None


class UnderWay(Answer):
    job_id: str
    kind: str = ""
    status: Literal["queued", "running"]
    stage: str | None = None


class CodeAsked(Answer):
    job_id: str
    kind: str = ""
    status: Literal["mfa_required"]
    mfa_challenge_id: SecretStr
    mfa_type: str | None = None
    mfa_destination: str | None = None
    expires_in: int
    attempts_left: int | None = None


class Succeeded(Answer):
    job_id: str
    kind: str = ""
    status: Literal["succeeded"]
    session_id: str
    access_token: SecretStr
    expires_in: int
    user: User


class Failed(Answer):
    """`mfa_challenge_id` is there while a code may still be tried."""

    job_id: str
    kind: str = ""
    status: Literal["failed"]
    error: JobError
    attempts_left: int | None = None
    mfa_challenge_id: SecretStr | None = None


type Ended = CodeAsked | Succeeded | Failed
type Job = UnderWay | Ended

JOB: TypeAdapter[Job] = TypeAdapter(
    Annotated[UnderWay | CodeAsked | Succeeded | Failed, Field(discriminator="status")]
)


class Garmin(Answer):
    linked: bool
    domain: str | None = None
    driver: str | None = None
    access_token_expires_at: datetime | None = None
    refreshable_until: datetime | None = None


class Session(Answer):
    session_id: str
    user: User
    created_at: datetime
    expires_at: datetime
    garmin: Garmin


class Fault(Answer):
    """Where a request was wrong, and how."""

    loc: list[str | int] = []
    message: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, (".".join(map(str, self.loc)), self.message)))


class Problem(Answer):
    """RFC 9457 application/problem+json with a stable `code`."""

    code: str
    title: str = ""
    detail: str | None = None
    errors: list[Fault] = []

    def described(self) -> str:
        listed = "; ".join(filter(None, map(str, self.errors)))
        return listed or self.detail or self.title
