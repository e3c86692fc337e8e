"""The steps of Garmin's sign-in, in whichever flow, and what the answer to each of them means."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from shared import errors
from worker.drivers import markup, verdicts
from worker.drivers.answers import Answer, HttpResponse, mfa_type

_SENT_BY_GARMIN = {"email", "sms"}
_RESEND_FIELDS = ("clientId", "customerGuid", "mfaMethod", "locale")


class Step(StrEnum):
    PAGE = "page"
    PASSWORD = "password"  # noqa: S105 - the name of a step
    SEND_CODE = "send_code"
    CODE = "code"
    OTHER = "other"


_STEPS = {
    "/mobile/api/login": Step.PASSWORD,
    "/portal/api/login": Step.PASSWORD,
    "/sso/signin": Step.PASSWORD,
    "/mobile/api/mfa/verifyCode": Step.CODE,
    "/portal/api/mfa/verifyCode": Step.CODE,
    "/sso/verifyMFA/loginEnterMfaCode": Step.CODE,
    "/sso/verifyMFA/mfaCode": Step.SEND_CODE,
}
"""By the path that is posted to. The widget's start with /sso and are answered with pages."""


@dataclass(frozen=True)
class Page:
    """The answer to one step. `landed` is the path that it came from, after redirects."""

    method: str
    path: str
    landed: str
    answer: Answer
    text: str = field(repr=False)

    @classmethod
    def of(cls, method: str, url: str, response: HttpResponse) -> "Page":
        landed = urlsplit(str(response.url or url)).path
        return cls(method, urlsplit(url).path, landed, Answer.of(response), response.text)

    @property
    def step(self) -> Step:
        return _STEPS.get(self.path, Step.OTHER) if self.method == "POST" else Step.PAGE

    @property
    def accepted(self) -> bool:
        """Whether the sign-in goes on: with a ticket, a code to enter, or a code being sent."""
        if self.step is Step.SEND_CODE:
            return self.answer.status < 300
        if self.step not in (Step.PASSWORD, Step.CODE):
            return True
        if not self._is_html:
            is_repeated = self.step is Step.CODE and not self.answer.ticket
            return self.answer.accepted and not is_repeated
        if self.answer.status >= 300 or self.answer.verdict():
            return False
        if self.answer.words.startswith(" success "):
            return "ticket=ST-" in self.text
        return self.step is Step.PASSWORD and self.asks_for_code

    @property
    def asks_for_code(self) -> bool:
        """Whether it is the widget's form for a code that has been sent, or can be.

        A page that wants a way to be chosen first is not: no code would ever come.
        """
        names = markup.variables(self.text)
        if not markup.has_code_field(self.text) and " mfa code " not in self.answer.words:
            return False
        if names.get("codeSentTo") or "mfaMethod" not in names:
            return " mfa " in self.answer.words or bool(names.get("mfaMethod"))
        return (
            names["mfaMethod"].lower() in _SENT_BY_GARMIN or mfa_type(names["mfaMethod"]) == "app"
        )

    def mfa_destination(self, kind: str) -> str | None:
        """Where the code was sent, masked by Garmin, in whichever flow."""
        sent_to = markup.variables(self.text).get("codeSentTo") if self._is_html else None
        return sent_to or self.answer.mfa_destination(kind)

    @property
    def resend_fields(self) -> dict[str, str] | None:
        """What the widget's own request for another code names; None where it has none."""
        names = markup.variables(self.text) if self._is_html else {}
        fields = {name: names.get(name, "") for name in _RESEND_FIELDS}
        by_garmin = fields["mfaMethod"].lower() in _SENT_BY_GARMIN
        return fields if by_garmin and fields["customerGuid"] else None

    def error(self) -> errors.SignInError:
        """Why the sign-in does not go on after this answer."""
        if self.step is Step.PAGE:
            return self._page_error()
        if self.accepted:  # and yet the driver could not go on
            return self.answer.unknown()
        if self.step is Step.PASSWORD:
            return self._password_error()
        return self._send_code_error() if self.step is Step.SEND_CODE else self._code_error()

    def _page_error(self) -> errors.SignInError:
        """A driver stops before the password where it is refused, or where there is no form."""
        refusal = self.answer.refusal()
        if refusal is None and self.path == "/sso/signin" and self.answer.status < 500:
            return errors.ClientRefusedError(self.answer.retry_after)
        if refusal is None:
            return self.answer.unknown()
        return errors.ClientRefusedError(refusal.retry_after, scope=refusal.scope)

    def _password_error(self) -> errors.SignInError:
        if not self._is_html:
            return self.answer.sign_in_error()
        known = self.answer.verdict() or self.answer.refusal()
        if known:
            return known
        if self.answer.status < 500 and self._is_about_codes:
            return errors.GarminActionRequiredError()  # a way to send a code has to be chosen
        return self._by_title(verdicts.AFTER_PASSWORD)

    def _send_code_error(self) -> errors.SignInError:
        refusal = self.answer.refusal()
        known = self.answer.verdict()
        if known is None and refusal:  # Garmin has accepted the password: it is not posted again
            known = errors.ClientRefusedError(refusal.retry_after, scope=refusal.scope, final=True)
        return known or self.answer.unknown()

    def _code_error(self) -> errors.SignInError:
        if not self._is_html:
            return self.answer.code_error()
        known = self.answer.verdict() or self.answer.refusal()
        if known:
            return known
        if markup.has_password_field(self.text):
            return errors.SignInExpiredError()  # back at the start
        return self._by_title(verdicts.AFTER_CODE)

    def _by_title(self, table: verdicts.Verdicts) -> errors.SignInError:
        verdict = (
            verdicts.first_match(table, self.answer.words) if self.answer.status < 500 else None
        )
        if verdict is None or verdict is errors.GarminUnavailableError:
            return self.answer.unknown()
        return verdict()

    @property
    def _is_html(self) -> bool:
        """Whether it is an answer in the widget's flow, which Garmin gives as pages."""
        return self.path.startswith("/sso/") and self.answer.body is None

    @property
    def _is_about_codes(self) -> bool:
        return "/verifymfa/" in self.landed.lower() or " mfa " in self.answer.words
