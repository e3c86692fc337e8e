"""What the service answers, with the fields of docs/api.md."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, TypeAlias

from fittrack_auth_client.fields import (
    Fields,
    MalformedError,
    bearer_token,
    boolean,
    integer,
    items,
    moment,
    secret,
    text,
)
from fittrack_auth_client.secret import Secret

DEFAULT_JOB_TTL = 900


@dataclass(frozen=True)
class SubmittedJob:
    """An accepted sign-in or code. `expires_in` is how many seconds its result can be fetched."""

    job_id: str
    poll_token: Secret
    expires_in: int = DEFAULT_JOB_TTL

    @classmethod
    def read(cls, data: object) -> "SubmittedJob":
        fields = Fields(data)
        return cls(
            job_id=fields.get("job_id", text),
            poll_token=fields.get("poll_token", secret),
            expires_in=fields.get("expires_in", integer),
        )


@dataclass(frozen=True)
class User:
    id: str
    display_name: str | None = None

    @classmethod
    def read(cls, data: object) -> "User":
        fields = Fields(data)
        return cls(fields.get("id", text), fields.optional("display_name", text))


@dataclass(frozen=True, kw_only=True)
class JobInProgress:
    """A job that has not ended. `stage` says what is happening."""

    job_id: str
    kind: str
    status: str
    stage: str


@dataclass(frozen=True, kw_only=True)
class CodeRequired:
    """A sign-in that waits for a one-time code until `expires_at`.

    `mfa_type` says how Garmin sent it (`email`, `sms`, `app`…), `mfa_destination` where to,
    masked.
    """

    status: ClassVar[str] = "mfa_required"

    job_id: str
    kind: str
    challenge_id: Secret
    mfa_type: str | None
    mfa_destination: str | None
    attempts_left: int | None
    expires_in: int
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A finished sign-in or import, with a session of the service.

    `access_token` is the session's. `exclusive`, after an import: whether the tokens were moved,
    so that they have to be deleted where they came from.
    """

    status: ClassVar[str] = "succeeded"

    job_id: str
    kind: str
    session_id: str
    access_token: Secret
    expires_in: int
    expires_at: datetime
    user: User
    exclusive: bool | None = None


@dataclass(frozen=True)
class JobError:
    code: str
    message: str
    retry_after: int | None

    @classmethod
    def read(cls, data: object) -> "JobError":
        fields = Fields(data)
        return cls(
            code=fields.get("code", text),
            message=fields.optional("message", text) or "",
            retry_after=fields.optional("retry_after", integer),
        )


@dataclass(frozen=True, kw_only=True)
class JobFailed:
    """A failed job. With a `challenge_id`, another code may be tried for that challenge."""

    status: ClassVar[str] = "failed"

    job_id: str
    kind: str
    error: JobError
    attempts_left: int | None
    challenge_id: Secret | None


Job: TypeAlias = JobInProgress | CodeRequired | SignedIn | JobFailed


def read_job(data: object) -> Job:
    """Raises MalformedError."""
    fields = Fields(data)
    job_id, kind = fields.get("job_id", text), fields.optional("kind", text) or ""
    match fields.get("status", text):
        case "queued" | "running" as status:
            stage = fields.optional("stage", text) or status
            return JobInProgress(job_id=job_id, kind=kind, status=status, stage=stage)
        case "mfa_required":
            expires_in = fields.get("expires_in", integer)
            return CodeRequired(
                job_id=job_id,
                kind=kind,
                challenge_id=fields.get("mfa_challenge_id", secret),
                mfa_type=fields.optional("mfa_type", text),
                mfa_destination=fields.optional("mfa_destination", text),
                attempts_left=fields.optional("attempts_left", integer),
                expires_in=expires_in,
                expires_at=_from_now(expires_in),
            )
        case "succeeded":
            expires_in = fields.get("expires_in", integer)
            return SignedIn(
                job_id=job_id,
                kind=kind,
                session_id=fields.get("session_id", text),
                access_token=fields.get("access_token", secret),
                expires_in=expires_in,
                expires_at=_from_now(expires_in),
                user=fields.get("user", User.read),
                exclusive=fields.optional("exclusive", boolean),
            )
        case "failed":
            return JobFailed(
                job_id=job_id,
                kind=kind,
                error=fields.get("error", JobError.read),
                attempts_left=fields.optional("attempts_left", integer),
                challenge_id=fields.optional("mfa_challenge_id", secret),
            )
        case _:
            raise MalformedError


@dataclass(frozen=True, kw_only=True)
class GarminLink:
    """The link to a Garmin account. `linked` is false where a sign-in is required.

    `state` is `active`, `expiring` (only a sign-in makes it last) or `sign_in_required`. `access`
    is `read_write` or `read`; `method` is how the person connected.
    """

    linked: bool
    state: str | None = None
    state_reason: str | None = None
    state_since: datetime | None = None
    access: str | None = None
    method: str | None = None
    domain: str | None = None
    driver: str | None = None
    access_token_expires_at: datetime | None = None
    refreshable_until: datetime | None = None

    @classmethod
    def read(cls, data: object) -> "GarminLink":
        fields = Fields(data)
        return cls(
            linked=fields.get("linked", boolean),
            state=fields.optional("state", text),
            state_reason=fields.optional("state_reason", text),
            state_since=fields.optional("state_since", moment),
            access=fields.optional("access", text),
            method=fields.optional("method", text),
            domain=fields.optional("domain", text),
            driver=fields.optional("driver", text),
            access_token_expires_at=fields.optional("access_token_expires_at", moment),
            refreshable_until=fields.optional("refreshable_until", moment),
        )


@dataclass(frozen=True, kw_only=True)
class Session:
    """The session that an access token belongs to."""

    session_id: str
    user: User
    created_at: datetime
    expires_at: datetime
    garmin: GarminLink

    @classmethod
    def read(cls, data: object) -> "Session":
        fields = Fields(data)
        return cls(
            session_id=fields.get("session_id", text),
            user=fields.get("user", User.read),
            created_at=fields.get("created_at", moment),
            expires_at=fields.get("expires_at", moment),
            garmin=fields.get("garmin", GarminLink.read),
        )


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The Garmin account that an app has linked to its own `user_id`."""

    user_id: str
    user: User
    garmin: GarminLink

    @classmethod
    def read(cls, data: object) -> "Connection":
        fields = Fields(data)
        return cls(
            user_id=fields.get("user_id", text),
            user=fields.get("user", User.read),
            garmin=fields.get("garmin", GarminLink.read),
        )


@dataclass(frozen=True)
class ConnectionPage:
    """Some of an app's connections. `next_cursor` leads to the next page; None on the last one."""

    connections: tuple[Connection, ...]
    next_cursor: str | None

    @classmethod
    def read(cls, data: object) -> "ConnectionPage":
        fields = Fields(data)
        return cls(
            connections=fields.get("connections", items(Connection.read)),
            next_cursor=fields.optional("next_cursor", text),
        )


@dataclass(frozen=True)
class TokenUser:
    """`garmin_display_name` is the name in the addresses of Garmin's API, if it is known."""

    id: str
    display_name: str | None = None
    garmin_display_name: str | None = None

    @classmethod
    def read(cls, data: object) -> "TokenUser":
        fields = Fields(data)
        return cls(
            fields.get("id", text),
            fields.optional("display_name", text),
            fields.optional("garmin_display_name", text),
        )


@dataclass(frozen=True, kw_only=True)
class Token:
    """Garmin's access token of a connection, for requests to `api_base`.

    `expires_in` is how many seconds are left; `access` is `read_write` or `read`.
    """

    access_token: Secret
    expires_at: datetime
    expires_in: int
    api_base: str
    access: str
    domain: str
    method: str
    user: TokenUser

    @classmethod
    def read(cls, data: object) -> "Token":
        fields = Fields(data)
        return cls(
            access_token=fields.get("access_token", bearer_token),
            expires_at=fields.get("expires_at", moment),
            expires_in=fields.get("expires_in", integer),
            api_base=fields.get("api_base", text),
            access=fields.get("access", text),
            domain=fields.get("domain", text),
            method=fields.get("method", text),
            user=fields.get("user", TokenUser.read),
        )


def _from_now(seconds: int) -> datetime:
    try:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    except OverflowError:
        raise MalformedError from None
