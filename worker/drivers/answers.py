"""What Garmin's answers mean, for both drivers.

Shapes: a JSON sign-in answer is `{"responseStatus": {"type", "message"}, …}`, refusals come as
`{"error": {"status-code": "429"}}` or as HTML from Cloudflare.
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

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LONGEST_NUMBER = 12  # digits of a Retry-After in seconds; Python refuses to read 5000 of them
_REFUSED_STATUSES = {427, 429}
_PASSWORD_VERDICTS: Mapping[str, type[errors.SignInError]] = {
    "INVALID_USERNAME_PASSWORD": errors.InvalidCredentialsError,
    "ACCOUNT_LOCKED": errors.AccountLockedError,
    "CAPTCHA_REQUIRED": errors.CaptchaRequiredError,
    "NEED_CAPTCHA": errors.CaptchaRequiredError,
}
"""By the type of `responseStatus`."""

_CODE_VERDICTS: Mapping[str, type[errors.SignInError]] = {
    "lock": errors.AccountLockedError,
    "limit": errors.MfaAttemptsExhaustedError,
    "too_many": errors.MfaAttemptsExhaustedError,
    "expire": errors.SignInExpiredError,
    "session": errors.SignInExpiredError,
}
"""By words in `responseStatus`, in lower case. The first match counts."""

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
    body: Mapping[str, Any] | None = field(repr=False)

    @classmethod
    def of(cls, response: HttpResponse) -> "Answer":
        text = response.text
        content_type = str(response.headers.get("content-type") or "")
        is_html = "html" in content_type or text.lstrip()[:1] == "<"
        retry_after = parse_retry_after(response.headers.get("retry-after"))
        return cls(response.status_code, retry_after, is_html, _json_object(text))

    @property
    def type(self) -> str:
        """`SUCCESSFUL`, `MFA_REQUIRED`…, or an empty string."""
        status = (self.body or {}).get("responseStatus")
        kind = status.get("type") if isinstance(status, Mapping) else None
        return kind if isinstance(kind, str) else ""

    @property
    def has_verdict(self) -> bool:
        """Whether Garmin itself, not a proxy in front of it, has judged what was sent."""
        return bool(self.type) and self.status < 500

    def refusal(self) -> errors.ClientRefusedError | None:
        """Return an error if the client is refused: 429, 427, 403, Cloudflare's page."""
        error = (self.body or {}).get("error")
        inner = str(error.get("status-code")) if isinstance(error, Mapping) else ""
        if self.is_html and self.body is None and self.status < 500:
            return errors.ClientRefusedError(self.retry_after, scope=errors.RefusalScope.CLIENT)
        if self.status in _REFUSED_STATUSES or inner in {"427", "429"}:
            return errors.ClientRefusedError(self.retry_after, final=self.body is not None)
        if self.status == 403 and not self.type:
            return errors.ClientRefusedError(self.retry_after)
        return None

    def sign_in_error(self) -> errors.SignInError:
        """Why a password was not accepted."""
        refusal = self.refusal()
        if refusal:
            return refusal
        if self.status < 500 and self.type in _PASSWORD_VERDICTS:
            return _PASSWORD_VERDICTS[self.type]()
        return errors.GarminUnavailableError(self.retry_after)

    def code_error(self) -> errors.SignInError:
        """Why a code was not accepted. A wrong code's answer is not recorded, so be lenient."""
        refusal = self.refusal()
        if refusal:
            return refusal
        if not self.has_verdict:
            return errors.GarminUnavailableError(self.retry_after)
        words = json.dumps((self.body or {}).get("responseStatus")).lower()
        verdict = first_match(_CODE_VERDICTS, words)
        return verdict() if verdict else errors.MfaCodeInvalidError()

    def mfa_destination(self, mfa_type: str) -> str | None:
        """Where the code was sent, masked by Garmin."""
        info = (self.body or {}).get("customerMfaInfo")
        key = {"email": "email", "sms": "phoneNumber"}.get(mfa_type)
        value = info.get(key) if isinstance(info, Mapping) and key else None
        return value if isinstance(value, str) and value else None


def first_match[T](table: Mapping[str, T], text: str) -> T | None:
    """Return the value of the first key that stands in the text."""
    return next((value for key, value in table.items() if key in text), None)


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
    except ValueError:
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
    return GarminIdentity(guid=guid, display_name=[*readable, *given, guid][0][:256])


def _storable(text: str) -> str:
    """Drop what JSON can hold but PostgreSQL or UTF-8 can't: NUL and lone surrogates."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def _json_object(text: str) -> Mapping[str, Any] | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
