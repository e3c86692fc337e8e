"""What Garmin's answers mean, for both drivers.

Shapes: a JSON sign-in answer is `{"responseStatus": {"type", "message"}, …}`, refusals come as
`{"error": {"status-code": "429"}}` or as HTML from Cloudflare. A verdict stands in `type`, in
`message`, in a page or in XML.
"""

import email.utils
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared import errors
from shared.garmin.types import GarminIdentity
from worker.drivers import markup, verdicts

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LONGEST_NUMBER = 12  # digits of a Retry-After in seconds; Python refuses to read 5000 of them
_REFUSED_STATUSES = {427, 429}
_CLOUDFLARE_TITLES = ("just a moment", "attention required", "cloudflare")
_CLOUDFLARE_CODE = re.compile(r"\berror code: 10\d\d\b")

_MFA_TYPES = {
    "phone": "sms",
    "phonenumber": "sms",
    "text": "sms",
    "totp": "app",
    "authenticator": "app",
    "authenticator_app": "app",
    "authenticatorapp": "app",
    "mobile_app": "app",
}


class HttpResponse(Protocol):
    """What requests and curl_cffi have in common."""

    status_code: int
    url: Any

    @property
    def text(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Answer:
    """One answer of Garmin's sign-in. `body` is None if it is not a JSON object."""

    status: int
    retry_after: int | None
    is_html: bool
    is_cloudflare: bool
    body: Mapping[str, Any] | None = field(repr=False)
    words: str = field(repr=False)

    @classmethod
    def of(cls, response: HttpResponse) -> "Answer":
        status, text = response.status_code, response.text
        body = _json_object(text)
        return cls(
            status=status,
            retry_after=parse_retry_after(response.headers.get("retry-after")),
            is_html=body is None and _is_html(response),
            is_cloudflare=_is_cloudflare(response, body),
            body=body,
            words=markup.words(
                markup.verdict_texts(text) if body is None else _verdict_texts(body)
            ),
        )

    @property
    def type(self) -> str:
        """`SUCCESSFUL`, `MFA_REQUIRED`…, or an empty string."""
        status = (self.body or {}).get("responseStatus")
        kind = status.get("type") if isinstance(status, Mapping) else None
        return kind if isinstance(kind, str) else ""

    @property
    def ticket(self) -> str:
        """The service ticket of a sign-in that succeeded, or an empty string."""
        ticket = (self.body or {}).get("serviceTicketId") if self.type == "SUCCESSFUL" else None
        return ticket if isinstance(ticket, str) else ""

    @property
    def accepted(self) -> bool:
        """Whether a JSON answer lets the sign-in go on: with a ticket, or a code."""
        return self.status == 200 and (bool(self.ticket) or self.type == "MFA_REQUIRED")

    @property
    def has_verdict(self) -> bool:
        """Whether Garmin itself, not a proxy in front of it, has judged what was sent."""
        return bool(self.type) and self.status < 500

    def verdict(self) -> errors.SignInError | None:
        """Return what Garmin says of the person, whatever was sent."""
        if self.status >= 500 or self.is_cloudflare:
            return None
        if self.status in _REFUSED_STATUSES and self.body is None:
            return None
        verdict = verdicts.first_match(verdicts.ON_THE_PERSON, self.words)
        if verdict is None and self.type == "SUCCESSFUL" and not self.ticket:
            consents = (self.body or {}).get("consentTypeList")
            verdict = errors.GarminActionRequiredError if consents else None
        return verdict() if verdict else None

    def refusal(self) -> errors.ClientRefusedError | None:
        """Return an error if the client is refused: 429, 427, 403, Cloudflare's page."""
        error = (self.body or {}).get("error")
        inner = str(error.get("status-code")) if isinstance(error, Mapping) else ""
        if self.is_cloudflare or (self.status == 403 and self.is_html):
            return errors.ClientRefusedError(self.retry_after, scope=errors.RefusalScope.CLIENT)
        if self.status in _REFUSED_STATUSES or inner in {"427", "429"}:
            return errors.ClientRefusedError(self.retry_after, final=self.body is not None)
        if self.status == 403 and not self.type:
            return errors.ClientRefusedError(self.retry_after)
        return None

    def sign_in_error(self) -> errors.SignInError:
        """Why a password was not accepted, where JSON was expected."""
        known = self.verdict() or self._refusal_of_json()
        if known:
            return known
        verdict = (
            verdicts.first_match(verdicts.ON_THE_PASSWORD, self.words) if self.has_verdict else None
        )
        return verdict() if verdict else self.unknown()

    def code_error(self) -> errors.SignInError:
        """Why a code was not accepted. A wrong code's answer is not recorded, so be lenient."""
        known = self.verdict() or self._refusal_of_json()
        if known:
            return known
        if not self.has_verdict:
            by_status = verdicts.CODE_STATUSES.get(self.status)
            return by_status() if by_status else self.unknown()
        if self.type == "SUCCESSFUL":  # without a ticket
            return self.unknown()
        verdict = verdicts.first_match(verdicts.ON_THE_CODE, self.words)
        return verdict() if verdict else errors.MfaCodeInvalidError()

    def unknown(self) -> errors.SignInError:
        """The error for an answer that no row knows."""
        return errors.GarminUnavailableError(self.retry_after)

    def mfa_method(self) -> str:
        """How a code is sent, by Garmin's name; `email` where it does not say, as garth has it."""
        info = self._mfa_info
        for key in ("mfaLastMethodUsed", "defaultMfaMethod"):
            if isinstance(info.get(key), str) and info[key]:
                return str(info[key])
        return "sms" if info.get("phoneNumber") and not info.get("email") else "email"

    def mfa_destination(self, mfa_type: str) -> str | None:
        """Where the code was sent, masked by Garmin."""
        key = {"email": "email", "sms": "phoneNumber"}.get(mfa_type)
        value = self._mfa_info.get(key) if key else None
        return value if isinstance(value, str) and value else None

    @property
    def _mfa_info(self) -> Mapping[str, Any]:
        """Empty where Garmin says null."""
        info = (self.body or {}).get("customerMfaInfo")
        return info if isinstance(info, Mapping) else {}

    def _refusal_of_json(self) -> errors.ClientRefusedError | None:
        """As `refusal`, for the flows in which Garmin itself sends no page."""
        page = self.is_html and self.status < 500
        return self.refusal() or (errors.ClientRefusedError(self.retry_after) if page else None)


def mfa_type(method: object) -> str:
    """Translate Garmin's name of an MFA method: `email`, `sms`, `app`, else its own."""
    name = method.lower() if isinstance(method, str) and method else "email"
    return _MFA_TYPES.get(name, name)


def parse_retry_after(value: object) -> int | None:
    """Return the seconds of a Retry-After header, given as seconds or as an HTTP date."""
    if not isinstance(value, str):
        return None
    if value.strip().isdecimal():
        return int(value.strip()[:_LONGEST_NUMBER]) or None
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(1, int(moment.timestamp() - time.time()))


def identity(profile: object) -> GarminIdentity:
    """Return the person in a `socialProfile`. Raise GarminUnavailableError if it names none."""
    fields = profile if isinstance(profile, Mapping) else {}
    guid = fields.get("garminGUID")
    if not isinstance(guid, str) or not 0 < len(guid) <= 64 or _storable(guid) != guid:
        raise errors.GarminUnavailableError
    names = [fields.get(key) for key in ("displayName", "fullName", "userName")]
    given = [kept for name in names if isinstance(name, str) and (kept := _storable(name))]
    # Garmin's displayName is a UUID for people who never chose one.
    readable = [name for name in given if not _UUID.fullmatch(name)]
    return GarminIdentity(
        guid=guid,
        display_name=[*readable, *given, guid][0][:256],
        garmin_display_name=display_name(fields),
    )


def display_name(fields: object) -> str | None:
    """Return Garmin's `displayName` in a profile or in settings, if there is one."""
    name = fields.get("displayName") if isinstance(fields, Mapping) else None
    return (_storable(name)[:256] or None) if isinstance(name, str) else None


def _storable(text: str) -> str:
    """Drop what JSON can hold but PostgreSQL or UTF-8 can't: NUL and lone surrogates."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def _json_object(text: str) -> Mapping[str, Any] | None:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _verdict_texts(body: Mapping[str, Any]) -> list[str]:
    """Return where a JSON answer can hold a verdict."""
    status, error = body.get("responseStatus"), body.get("error")
    texts = [error]
    for part, keys in ((status, ("type", "message")), (error, ("message",))):
        texts += [part.get(key) for key in keys] if isinstance(part, Mapping) else []
    return [text for text in texts if isinstance(text, str)]


def _is_html(response: HttpResponse) -> bool:
    content_type = str(response.headers.get("content-type") or "")
    return "html" in content_type or response.text.lstrip()[:1] == "<"


def _is_cloudflare(response: HttpResponse, body: Mapping[str, Any] | None) -> bool:
    """Whether Cloudflare in front of Garmin has refused this address or client."""
    if response.headers.get("cf-mitigated") or "cloudflare_error" in (body or {}):
        return True
    if body is not None or (response.status_code >= 500 and response.status_code != 503):
        return False
    page_title = markup.title(response.text).lower()
    return bool(_CLOUDFLARE_CODE.search(response.text)) or any(
        known in page_title for known in _CLOUDFLARE_TITLES
    )
