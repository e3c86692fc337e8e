"""Request and response bodies of connect sessions."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.contract import examples
from api.contract.requests import (
    CODE,
    PASSWORD,
    USER_ID,
    USERNAME,
    BroughtRequest,
    Shape,
    StrictRequest,
)
from shared.connect.session import ConnectMethod, ConnectStatus
from shared.errors import JobErrorCode
from shared.garmin.types import GarminDomain
from shared.jobs.states import JobKind, JobStage

_MOST_URL = 2048
_LOCALE = Shape(
    r"^[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}$", "must be a language tag such as de or zh-Hans"
)
_URL = Shape(r"^[!-~]+$", "must be a URL")


def _each_once(methods: tuple[ConnectMethod, ...]) -> tuple[ConnectMethod, ...]:
    if len(set(methods)) != len(methods):
        raise ValueError("must name each method once")
    return methods


class ConnectSessionRequest(StrictRequest):
    """What the person is to connect, and where they go afterwards."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CONNECT_SESSION_REQUEST]})

    user_id: Annotated[str, USER_ID] = Field(description="Your own id for the person.")
    return_url: Annotated[str, Field(max_length=_MOST_URL), _URL] | None = Field(
        None,
        description="Where the person goes at the end, of an origin that is registered with your "
        "app. `connect_session` and `status` are added to its query.",
    )
    embed_origin: Annotated[str, Field(max_length=_MOST_URL), _URL] | None = Field(
        None,
        description="The registered origin whose page shows the connect page in a frame or opens "
        "it in a popup.",
    )
    domain: GarminDomain = Field(
        GarminDomain.COM, description="Where the account lives: `garmin.cn` for mainland China."
    )
    locale: Annotated[str, _LOCALE] | None = Field(
        None, description="The page's language; by default the browser's."
    )
    methods: (
        Annotated[
            tuple[ConnectMethod, ...],
            Field(min_length=1, max_length=3, json_schema_extra={"uniqueItems": True}),
            AfterValidator(_each_once),
        ]
        | None
    ) = Field(
        None,
        description="The ways to connect, the one to offer first in front: by default the password "
        "and the Personal API key.",
    )


class ConnectPasswordRequest(StrictRequest):
    """The credentials of a Garmin account, from the connect page."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.LOGIN]})

    username: USERNAME = Field(repr=False)
    password: PASSWORD


class ConnectImportRequest(BroughtRequest):
    """What the person already has, from the connect page."""


class ConnectCodeRequest(StrictRequest):
    """The one-time code, from the connect page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "123 456"}]})

    code: CODE


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True)


class ConnectSessionCreated(_Response):
    """A connect session. Only this response contains its `url`."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CONNECT_SESSION_CREATED]})

    id: str = Field(description="Public: safe to log.")
    url: str = Field(repr=False, description="Where to send the person. Secret.")
    expires_at: datetime = Field(description="Later while a sign-in is going on.")


class ConnectSessionUser(_Response):
    id: str = Field(description="This service's id for the person.")
    display_name: str = Field(description="The person's name at Garmin.")


class ConnectSessionError(_Response):
    code: JobErrorCode = Field(description="Stable: branch on it.")
    message: str = Field(description="For people: may change.")
    retry_after: int | None = Field(
        None, description="Seconds until trying again makes sense; absent if unknown."
    )


class ConnectSessionResponse(_Response):
    """How far a connect session has come."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.CONNECT_SESSIONS})

    id: str
    user_id: str = Field(description="Your own id for the person.")
    status: ConnectStatus = Field(
        description="`failed`: the last try failed; until `expires_at` the person may try again."
    )
    expires_at: datetime
    user: ConnectSessionUser | None = Field(None, description="Who has connected.")
    error: ConnectSessionError | None = Field(None, description="Why the last try failed.")


class Shade(_Response):
    accent: str
    on_accent: str


class ConnectApp(_Response):
    """The app that asks. `light` and `dark` are its colours on such a page."""

    name: str
    light: Shade
    dark: Shade


class ConnectStep(_Response):
    kind: JobKind
    stage: JobStage


class ConnectCode(_Response):
    type: str = Field(description="`email`, `sms`, `app`, or Garmin's own name of another.")
    destination: str | None
    expires_in: int
    attempts_left: int
    resend_in: int | None = Field(
        description="Seconds until the code can be sent again; null where Garmin can't."
    )


class ConnectProblem(_Response):
    code: JobErrorCode
    retry_after: int | None


class ConnectState(_Response):
    """What the connect page shows."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CONNECT_STATE]})

    id: str
    status: ConnectStatus
    app: ConnectApp
    domain: GarminDomain
    methods: list[ConnectMethod] = Field(description="In the order in which they are shown.")
    locale: str | None
    return_url: str | None
    embed_origin: str | None
    expires_in: int
    step: ConnectStep | None = Field(description="What is going on.")
    code: ConnectCode | None = Field(description="The code that is waited for.")
    error: ConnectProblem | None = Field(description="Why the last try failed.")
    user: str | None = Field(description="Who has connected, if Garmin says so.")
