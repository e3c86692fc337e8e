"""What can be changed while the simulator runs: times, refusals and faults."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dev.simulator.messages import Delivery


class Stage(StrEnum):
    """Where in a sign-in a request stands."""

    PAGE = "page"
    LOGIN = "login"
    CODE = "code"
    TICKET = "ticket"
    EXCHANGE = "exchange"
    REFRESH = "refresh"
    PROFILE = "profile"
    OTHER = "other"


class FaultKind(StrEnum):
    """A delivery that fails, or an answer that is not what it should be."""

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
    WITHOUT_FIELD = "without_field"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(Frozen):
    """Garmin turning a whole client or flow away.

    status: 403 is a Cloudflare page, anything else a short JSON.
    in_body: HTTP 200, with the status inside the JSON.
    at: the stages refused; the sign-in page only if it is named.
    times: how often, then it works again; None for always.
    """

    status: int = 429
    retry_after: int | None = None
    in_body: bool = False
    at: tuple[Stage, ...] = tuple(stage for stage in Stage if stage is not Stage.PAGE)
    times: int | None = None


class Fault(Frozen):
    """Something that goes wrong for everybody.

    path, host: shell patterns; `hang_connect` and `cut_connect` look at the host alone.
    when: `before` Garmin works on the request, or `after` it (the answer is lost or spoilt).
    times: how often, then it works again; None for always. skip: how many go well first.
    """

    kind: FaultKind
    path: str = "*"
    host: str = "*"
    method: str = "*"
    status: int = 503
    retry_after: int | None = None
    field: str = "access_token"
    when: Literal["before", "after"] = "before"
    times: int | None = None
    skip: int = 0


class WrongCode(Frozen):
    """The reply of `verifyCode` to a code that is not right."""

    status: int = 200
    type: str = "MFA_CODE_INVALID"
    message: str = "codeEntryInvalid"


class Settings(Frozen):
    """Everything `POST /settings` takes. Times are seconds, latencies milliseconds.

    latency_by_path: shell patterns of a path to a latency that replaces `latency_ms`.
    code_alphabet, code_length: what codes are made of.
    access_ttl_s: life of new access tokens; None draws from the recorded range.
    refuse: by clientId (SSO or DI) or flow: mobile, portal, widget, oauth1, oauth2, di, profile.
    """

    latency_ms: float = Field(default=0, ge=0)
    latency_by_path: dict[str, float] = Field(default_factory=dict)
    session_ttl_s: float = 1800
    code_ttl_s: float = 1800
    code_alphabet: str = Field(default="0123456789", min_length=1)
    code_length: int = Field(default=6, ge=1)
    ticket_ttl_s: float = 300
    access_ttl_s: int | None = None
    resend_interval_s: float = 30
    max_wrong_codes: int = 10
    clock_offset_s: float = 0
    wrong_code: WrongCode = WrongCode()
    locked_status: int = 401
    captcha_status: int = 200
    widget_sends_code: bool = True
    widget_mfa_title: str = "Enter MFA code for login"
    drip_interval_ms: float = 200
    refuse: dict[str, Refusal] = Field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
