"""Response bodies of successful requests."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.contract import examples
from shared.accounts.connections import ConnectionView
from shared.accounts.states import Access, ConnectionState, Method, StateReason
from shared.accounts.tokens import TokenInfo
from shared.errors import JobErrorCode
from shared.garmin.types import GarminDomain
from shared.jobs.states import JobKind, JobStage


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True)


class JobAccepted(_Response):
    """A job that was enqueued. Only this response contains its `poll_token`."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.JOB_ACCEPTED]})

    job_id: str = Field(description="Public: safe to log.")
    status: Literal["queued"] = "queued"
    poll_token: str = Field(repr=False, description="The bearer token for `status_url`. Secret.")
    status_url: str = Field(description="Where to poll the job.")
    expires_in: int = Field(description="Seconds for which the job can be polled.")


class _Job(_Response):
    job_id: str
    kind: JobKind | str = Field(
        description="What the job does. During an upgrade, kinds of the newer version may appear."
    )
    success: bool = False
    mfa_required: bool = False


class JobInProgress(_Job):
    """A job that has not ended: poll again after `Retry-After` seconds."""

    status: Literal["queued", "running"]
    stage: JobStage = Field(description="What the job is doing.")


class JobMfaRequired(_Job):
    """A login that needs a one-time code."""

    status: Literal["mfa_required"] = "mfa_required"
    mfa_required: Literal[True] = True
    mfa_challenge_id: str = Field(repr=False, description="Names the challenge. Secret.")
    mfa_type: str = Field(description="`email`, `sms`, `app`, or Garmin's own name of another.")
    mfa_destination: str | None = Field(
        description="Where Garmin sent the code, masked by Garmin; null if unknown."
    )
    expires_in: int = Field(description="Seconds left to send the code.")
    attempts_left: int = Field(description="How many codes may still be tried.")


class JobUser(_Response):
    id: str = Field(description="This service's id for the person.")
    display_name: str = Field(description="The person's name at Garmin.")


class JobSucceeded(_Job):
    """A finished sign-in or import: Garmin's tokens are stored, and the session has begun."""

    status: Literal["succeeded"] = "succeeded"
    success: Literal[True] = True
    session_id: str
    access_token: str = Field(repr=False, description="The session's bearer token. Secret.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a name, no secret
    expires_in: int = Field(description="Seconds until the session expires.")
    user: JobUser
    exclusive: bool | None = Field(
        None,
        description="Only after an import: whether the tokens were moved here. They have to be "
        "deleted where they came from: once one program has renewed them, no other one can.",
    )


class JobError(_Response):
    code: JobErrorCode = Field(description="Stable: branch on it.")
    message: str = Field(description="For people: may change.")
    retry_after: int | None = Field(
        description="Seconds until trying again makes sense; null if unknown."
    )


class JobFailed(_Job):
    """A failed job. With `mfa_challenge_id`, another code may be sent for that challenge."""

    status: Literal["failed"] = "failed"
    error: JobError
    attempts_left: int | None = Field(None, description="How many codes may still be tried.")
    mfa_challenge_id: str | None = Field(
        None, repr=False, description="The challenge that is still open. Secret."
    )


JobResponse = JobInProgress | JobMfaRequired | JobSucceeded | JobFailed


class GarminLinkResponse(_Response):
    """The state of a person's Garmin tokens. Without tokens, all but `linked` is null."""

    linked: bool = Field(description="Whether there are tokens, and no sign-in is required.")
    state: ConnectionState | None = Field(
        None,
        description="`expiring`: less than 14 days are left, and only a sign-in gives more.",
    )
    state_reason: StateReason | None = Field(None, description="Why a sign-in is required.")
    state_since: datetime | None = None
    access: Access | None = Field(None, description="What Garmin's access token allows.")
    method: Method | None = Field(None, description="How the person connected.")
    domain: GarminDomain | None = None
    driver: str | None = Field(None, description="The Garmin library that signed in.")
    access_token_expires_at: datetime | None = Field(
        None, description="When Garmin's access token expires."
    )
    refreshable_until: datetime | None = Field(
        None, description="Until when Garmin's access token can be renewed without a sign-in."
    )

    @classmethod
    def of(cls, tokens: TokenInfo | None) -> "GarminLinkResponse":
        if tokens is None:
            return cls(linked=False)
        return cls(
            linked=tokens.linked,
            state=tokens.standing.state,
            state_reason=tokens.standing.reason,
            state_since=tokens.standing.since,
            access=tokens.access,
            method=tokens.method,
            domain=GarminDomain(tokens.domain),
            driver=tokens.driver,
            access_token_expires_at=tokens.access_expires_at,
            refreshable_until=tokens.refresh_expires_at,
        )


class SessionResponse(_Response):
    """The session and the person that an access token belongs to."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SESSION]})

    session_id: str
    user: JobUser
    created_at: datetime
    expires_at: datetime
    garmin: GarminLinkResponse


class ClientLinkResponse(_Response):
    """The Garmin account that an app has linked to an id of its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CLIENT_LINK]})

    user_id: str = Field(description="The app's own id for the person.")
    user: JobUser
    garmin: GarminLinkResponse

    @classmethod
    def of(cls, view: ConnectionView) -> "ClientLinkResponse":
        return cls(
            user_id=view.client_user_id,
            user=JobUser(id=str(view.user_id), display_name=view.display_name),
            garmin=GarminLinkResponse.of(view.garmin),
        )


class ConnectionsResponse(_Response):
    """Some of an app's connections, in the order of its own user ids."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CONNECTIONS]})

    connections: list[ClientLinkResponse]
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null if this is the last one."
    )


class TokenUser(JobUser):
    garmin_display_name: str | None = Field(
        description="The name in the addresses of Garmin's API; null if Garmin has not said it yet."
    )


class TokenResponse(_Response):
    """An access token for Garmin's API."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TOKEN]})

    access_token: str = Field(repr=False, description="Garmin's bearer token. Secret.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a name, no secret
    expires_at: datetime
    expires_in: int = Field(description="Seconds until it expires.")
    api_base: str = Field(description="The API that it is for.")
    access: Access = Field(description="What it allows.")
    domain: GarminDomain
    method: Method = Field(description="How the person connected.")
    user: TokenUser


class TokenRefreshing(_Response):
    """The token is being renewed: repeat the request after `Retry-After` seconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "refreshing"}]})

    status: Literal["refreshing"] = "refreshing"


class Health(_Response):
    """The process is alive."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


class Readiness(_Response):
    """Ready, perhaps with something that the operator has to look at."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"status": "ok"}, {"status": "degraded", "degraded": ["redis_eviction"]}]
        }
    )

    status: Literal["ok", "degraded"] = "ok"
    degraded: list[str] | None = Field(
        None,
        description="Only where something is: `redis_version`, `redis_eviction`, "
        "`redis_persistence`, `redis_disk`, the same of `broker_`, and `database_disk`.",
    )
