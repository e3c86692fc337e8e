"""What the pages of Garmin's HTML sign-in, the widget, mean.

The widget tells its verdicts by titles. Each table is read from the top; the first row whose text
stands in the title, in lower case, counts.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared import errors
from worker.drivers.answers import Answer, HttpResponse

_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_FORM_PATH = "/sso/signin"
_SIGN_IN_TITLE = "garmin authentication application"
_REFUSED_STATUSES = {403, 427, 429}
_AFTER_PASSWORD: dict[str, type[errors.SignInError]] = {
    "just a moment": errors.ClientRefusedError,
    "attention required": errors.ClientRefusedError,
    "cloudflare": errors.ClientRefusedError,
    "bad gateway": errors.GarminUnavailableError,
    "service unavailable": errors.GarminUnavailableError,
    "502": errors.GarminUnavailableError,
    "503": errors.GarminUnavailableError,
    "locked": errors.AccountLockedError,
    "invalid": errors.InvalidCredentialsError,
    "incorrect": errors.InvalidCredentialsError,
    "account error": errors.InvalidCredentialsError,
    _SIGN_IN_TITLE: errors.InvalidCredentialsError,
}
_AFTER_CODE: dict[str, type[errors.SignInError]] = {
    "success": errors.GarminUnavailableError,
    "locked": errors.AccountLockedError,
    "expired": errors.SignInExpiredError,
    "mfa": errors.MfaCodeInvalidError,
    _SIGN_IN_TITLE: errors.MfaCodeInvalidError,
}


@dataclass(frozen=True)
class Page:
    """The last answer of a sign-in, in whichever flow, read as a page."""

    method: str
    path: str
    answer: Answer
    title: str = field(repr=False)

    @classmethod
    def of(cls, method: str, url: str, response: HttpResponse) -> "Page":
        title = _TITLE.search(response.text)
        words = title.group(1).strip().lower() if title else ""
        return cls(method, urlsplit(url).path, Answer.of(response), words)

    def sign_in_error(self) -> errors.SignInError:
        """Why a password was not accepted, or not even sent."""
        retry_after = self.answer.retry_after
        if self.method == "POST" and self.answer.status not in {427, 429}:
            verdict = _read(_AFTER_PASSWORD, self.title)
            if verdict:
                return verdict(retry_after)
        without_form = self.method == "GET" and self.path == _FORM_PATH
        if without_form or self.answer.status in _REFUSED_STATUSES:
            return errors.ClientRefusedError(retry_after)
        return errors.GarminUnavailableError(retry_after)

    def code_error(self) -> errors.SignInError:
        """Why a code was not accepted. A wrong one brings the code page again."""
        if self.answer.status >= 500:
            return errors.GarminUnavailableError(self.answer.retry_after)
        verdict = _read(_AFTER_CODE, self.title)
        return verdict() if verdict else self.answer.code_error()


def _read(
    verdicts: dict[str, type[errors.SignInError]], title: str
) -> type[errors.SignInError] | None:
    return next((verdict for words, verdict in verdicts.items() if words in title), None)
