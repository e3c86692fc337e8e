"""Settings that can change while the simulator runs: times, refusals and faults."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from dev.simulator.messages import Delivery


class Stage(StrEnum):
    """The step that a request belongs to, of a sign-in or after it."""

    PAGE = "page"
    LOGIN = "login"
    CODE = "code"
    TICKET = "ticket"
    EXCHANGE = "exchange"
    REFRESH = "refresh"
    PROFILE = "profile"
    DATA = "data"
    OTHER = "other"


class FaultKind(StrEnum):
    """A failed delivery, or a wrong response."""

    HANG_CONNECT = "hang_connect"
    CUT_CONNECT = "cut_connect"
    HANG = Delivery.HANG
    HANG_IN_BODY = Delivery.HANG_IN_BODY
    DRIP = Delivery.DRIP
    CUT = Delivery.CUT
    CUT_IN_BODY = Delivery.CUT_IN_BODY
    STATUS = "status"
    HTML = "html"
    GARBAGE = "garbage"
    JSON = "json"
    WITHOUT_FIELD = "without_field"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(Frozen):
    """A refusal of a whole client or flow.

    status: 403 is Cloudflare's page, 5xx an HTML page, anything else JSON.
    in_body: send HTTP 200, with the status inside the JSON.
    at: the stages refused; the sign-in page only if named.
    times: how many requests are refused; None for all.
    """

    status: int = 429
    retry_after: int | None = None
    in_body: bool = False
    at: tuple[Stage, ...] = tuple(stage for stage in Stage if stage is not Stage.PAGE)
    times: int | None = None


class Fault(Frozen):
    """A fault that applies to everybody.

    path, host: shell patterns; `hang_connect` and `cut_connect` use `host` only.
    body: what `json` sends, with `status`, as JSON.
    when: `before` Garmin handles the request, or `after` (its response is lost or spoilt).
    skip: how many matching requests succeed first. times: how many fail then; None for all.
    """

    kind: FaultKind
    path: str = "*"
    host: str = "*"
    method: str = "*"
    status: int = 503
    retry_after: int | None = None
    field: str = "access_token"
    body: JsonValue = None
    when: Literal["before", "after"] = "before"
    times: int | None = None
    skip: int = 0


class WrongCode(Frozen):
    """The reply of `verifyCode` to a wrong code."""

    status: int = 200
    type: str = "MFA_CODE_INVALID"
    message: str = "codeEntryInvalid"


class Settings(Frozen):
    """All settings. docs/simulator.md describes each.

    latency_by_path: path patterns to latencies that replace `latency_ms`.
    access_ttl_s: lifetime of new access tokens; None draws from the recorded range.
    refresh_grace_s: how long a DI refresh token that was used is answered again.
    refuse: by clientId (SSO or DI) or flow: mobile, portal, widget, oauth1, oauth2, di, profile,
        data, personal.
    """

    latency_ms: float = Field(default=0, ge=0)
    latency_by_path: dict[str, float] = Field(default_factory=dict)
    session_ttl_s: float = 1800
    code_ttl_s: float = 1800
    code_alphabet: str = Field(default="0123456789", min_length=1)
    code_length: int = Field(default=6, ge=1)
    ticket_ttl_s: float = 300
    access_ttl_s: int | None = None
    refresh_ttl_s: int = Field(default=2591999, ge=1)
    refresh_grace_s: float = Field(default=0, ge=0)
    oauth1_ttl_s: int = Field(default=365 * 24 * 3600, ge=1)
    resend_interval_s: float = 30
    max_wrong_codes: int = 10
    clock_offset_s: float = 0
    wrong_code: WrongCode = WrongCode()
    dead_key_status: int = 401
    personal_limit: int = Field(default=11, ge=0)
    personal_window_s: float = 10
    locked_status: int = 401
    captcha_status: int = 200
    widget_sends_code: bool = True
    widget_mfa_title: str = "Enter MFA code for login"
    drip_interval_ms: float = 200
    refuse: dict[str, Refusal] = Field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
