"""What the pages of Garmin's HTML sign-in, the widget, mean.

The widget gives its verdicts as titles. In each table the first row whose words stand in the title,
in lower case, counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared import errors
from worker.drivers.answers import Answer, HttpResponse, first_match

_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_FORM_PATH = "/sso/signin"
_SIGN_IN_TITLE = "garmin authentication application"
_AFTER_PASSWORD: Mapping[str, type[errors.SignInError]] = {
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
_AFTER_CODE: Mapping[str, type[errors.SignInError]] = {
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
        verdict = self._after_post() if self.method == "POST" else self._without_post()
        if verdict is errors.ClientRefusedError:
            return self.answer.refusal() or verdict(self.answer.retry_after)
        return verdict(self.answer.retry_after)

    def code_error(self) -> errors.SignInError:
        """Why a code was not accepted. A wrong one brings the code page again."""
        if self.answer.status >= 500:
            return errors.GarminUnavailableError(self.answer.retry_after)
        verdict = first_match(_AFTER_CODE, self.title)
        return verdict() if verdict else self.answer.code_error()

    def _after_post(self) -> type[errors.SignInError]:
        if self.answer.status in {427, 429}:
            return errors.ClientRefusedError
        verdict = first_match(_AFTER_PASSWORD, self.title)
        if verdict is None and self.answer.status == 403:
            return errors.ClientRefusedError
        return verdict or errors.GarminUnavailableError

    def _without_post(self) -> type[errors.SignInError]:
        """The library stops at the sign-in page only where it holds no form: a challenge."""
        if self.path == _FORM_PATH or self.answer.status in {403, 427, 429}:
            return errors.ClientRefusedError
        return errors.GarminUnavailableError
