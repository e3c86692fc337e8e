"""garminconnect's client for one job, with sessions that keep it from posting a secret again.

Left alone, one `login` posts the password up to eleven times, and sends each wrong code to two
endpoints.
"""

import json
from collections.abc import Callable
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any

from garminconnect import client as library
from garminconnect.client import sso as library_sso

from shared import errors
from shared.garmin.types import Credentials, GarminDomain
from worker.drivers import di
from worker.drivers.answers import HttpResponse
from worker.drivers.di import DiTokens
from worker.drivers.garminconnect_session import GuardedSession, Passwords, Stop
from worker.drivers.pages import Page
from worker.drivers.route import Route

_STRATEGIES = {"mobile+cffi", "mobile+requests", "widget+cffi", "portal+cffi", "portal+requests"}
_USED = {"mobile+cffi", "widget+cffi"}
_SESSION_IS_OVER = (401, 404, 409)
_DELAYS = ("MOBILE_DELAY_MIN_S", "MOBILE_DELAY_MAX_S", "WIDGET_DELAY_MIN_S", "WIDGET_DELAY_MAX_S")
RESEND = "resend"
"""Beside the library's own state: what the request for another code names."""

_WITH_SESSIONS = {
    name: getattr(library_sso.LoginMixin, name).__code__
    for name in (
        "_do_mobile_login",
        "_login_with_impersonations",
        "_restore_mfa_state",
        "_widget_web_login",
    )
}
"""The library's methods that make a session or wait, and take neither as an argument."""


class GuardedClient(library.Client):
    """The library's client for one job. `delays` is a factor for its waits before a post."""

    def __init__(self, domain: str, route: Route, delays: float = 1.0) -> None:
        super().__init__(domain, verify_login=False)  # the driver asks for the profile anyway
        self.skip_strategies = _STRATEGIES - _USED
        self._route = route
        self._passwords = Passwords()
        self._session: GuardedSession | None = None
        self._retry_after: int | None = None
        self._ticket_issued = False
        self.tokens: DiTokens | None = None
        self._give_sessions(delays)

    @property
    def page(self) -> Page | None:
        """The last answer to the sign-in; None if it got lost."""
        return self._session.page if self._session else None

    @property
    def code_page(self) -> Page | None:
        """The answer that wants a code."""
        return self._session.code_page if self._session else None

    def sign_in(
        self, credentials: Credentials, before_password: Callable[[str], None]
    ) -> dict[str, Any] | DiTokens:
        """Return the library's state if a code is needed, else the tokens.

        `before_password` is called with the way in, right before each POST of the password.
        """
        self._passwords = Passwords(before_password)
        username, password = credentials.username, credentials.password
        try:
            result, state = self.login(
                username.get_secret_value(), password.get_secret_value(), return_on_mfa=True
            )
        except Stop as stop:
            failure = stop.verdict
        except Exception:
            failure = self._sign_in_error()
        else:
            if result == "needs_mfa":
                return self._code_state(state)
            if self.tokens is not None:
                return self.tokens
            failure = errors.GarminUnavailableError()
        finally:
            self._close_session()
        raise self._checked(failure)

    def finish(self, state: dict[str, Any], code: str) -> DiTokens:
        """Check the code, and redeem the ticket."""
        try:
            self.resume_login(state, code)
        except Stop as stop:
            failure = self._with_state(stop.verdict, state)
        except Exception:
            failure = errors.GarminUnavailableError()
        else:
            if self.tokens is not None:
                return self.tokens
            failure = errors.GarminUnavailableError()
        finally:
            self._close_session()
        failure = self._checked(failure)
        if self._ticket_issued and isinstance(failure, errors.GarminUnavailableError):
            raise errors.SignInAgainError  # the code is used up
        raise failure

    def resend(self, state: dict[str, Any]) -> dict[str, Any]:
        """Have the widget send the code again, as its own button does; return the state."""
        fields = state[RESEND]
        try:
            self._restore_mfa_state(state)
            self._mfa_session.post(
                f"{self._sso}/sso/verifyMFA/mfaCode",
                params={"clientId": fields["clientId"]},
                headers={"Accept": "application/json, text/plain, */*"},
                json={name: fields[name] for name in ("customerGuid", "mfaMethod", "locale")},
            )
            return self._mfa_client_state() | {RESEND: fields}
        except Stop as stop:
            failure = stop.verdict
        except Exception:
            failure = errors.GarminUnavailableError()
        finally:
            self._close_session()
        if self.page is not None and self.page.answer.status in _SESSION_IS_OVER:
            raise errors.SignInExpiredError
        raise self._checked(failure)

    def _give_sessions(self, delays: float) -> None:
        """Let the library make guarded sessions, and wait `delays` times as long.

        It looks both up as globals of its module. Here each client gets the methods that do so
        with globals of its own, so that no client sees another one's permit.
        """
        curl = SimpleNamespace(Session=self._new_session)
        names = dict(vars(library_sso)) | {
            name: vars(library_sso)[name] * delays for name in _DELAYS
        }
        names["_pkg"] = lambda: SimpleNamespace(HAS_CFFI=True, cffi_requests=curl)
        for name, code in _WITH_SESSIONS.items():
            setattr(self, name, MethodType(FunctionType(code, names), self))

    def _new_session(self, **options: Any) -> GuardedSession:  # noqa: ANN401 - curl_cffi's
        self._note_retry_after()
        self._close_session()
        self._session = GuardedSession(self._route, self._passwords, **options)
        return self._session

    def _close_session(self) -> None:
        """Close the connections now: the client is in reference cycles and would keep them."""
        if self._session:
            self._session.close()

    def post_form(self, url: str, headers: dict[str, str], fields: dict[str, str]) -> HttpResponse:
        """Post to Garmin's DI server, with a browser's TLS as the library does."""
        try:
            with GuardedSession(self._route, self._passwords) as session:
                response: HttpResponse = session.post(
                    url, data=fields, headers=headers, impersonate="chrome", allow_redirects=False
                )
                return response
        except Stop as stop:
            raise stop.verdict from None
        except Exception:
            raise errors.GarminUnavailableError from None

    def _post_credentials(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        try:
            super()._post_credentials(*args, **kwargs)
        except (Stop, library_sso._MFARequired):
            raise
        except Exception:
            if self.page is None or self.page.accepted:
                raise Stop(errors.GarminUnavailableError()) from None
            raise  # refused: the next way in may be let in

    def _complete_mfa(self, mfa_code: str) -> None:
        try:
            super()._complete_mfa(mfa_code)
        except Stop:
            raise
        except Exception:
            raise Stop(self._code_error()) from None

    def _establish_session(
        self,
        ticket: str,
        sess: Any = None,  # noqa: ANN401 - the library's signature
        service_url: str | None = None,
    ) -> None:
        """Redeem the ticket for tokens.

        The library falls back to a cookie that its own dump does not hold: no use to anyone.
        """
        self._ticket_issued = True
        domain, service = GarminDomain(self.domain), service_url or self._ios_service_url
        try:
            self.tokens = di.redeem(self.post_form, domain, ticket, service)
        except errors.FitTrackError as error:
            raise Stop(error) from None

    def _sign_in_error(self) -> errors.SignInError:
        """What the last answer means, after which the library knew no other way in."""
        if self.page is None:
            return errors.GarminUnavailableError()
        self._note_retry_after()
        error = self.page.error()
        if isinstance(error, errors.ClientRefusedError):
            error.retry_after = self._retry_after
        return error

    def _code_error(self) -> errors.SignInError:
        return self.page.error() if self.page else errors.GarminUnavailableError()

    def _with_state(
        self, failure: errors.FitTrackError, state: dict[str, Any]
    ) -> errors.FitTrackError:
        if isinstance(failure, errors.MfaCodeInvalidError):
            kept = self._mfa_client_state() | ({RESEND: state[RESEND]} if RESEND in state else {})
            return errors.MfaCodeInvalidError(state=json.dumps(kept))
        return failure

    def _code_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the library's state, with what the code page left out.

        Garmin accepts the sign-in page's `_csrf` with a code as well.
        """
        spare = self._session.csrf_token if self._session else None
        known = state | {"csrf_token": state["csrf_token"] or spare}
        resend = self.code_page.resend_fields if self.code_page else None
        return known if resend is None else known | {RESEND: resend}

    def _note_retry_after(self) -> None:
        """Keep the value of this flow, for the case that the next one has none."""
        if self.page and self.page.answer.retry_after:
            self._retry_after = self.page.answer.retry_after

    def _checked(self, failure: errors.FitTrackError) -> errors.FitTrackError:
        """Return the failure, or what the library made it of: its last request got no answer.

        Raises what the permit raises if the library stumbled on that.
        """
        if not isinstance(failure, errors.GarminUnavailableError):
            return failure
        self._route.check()
        return self._route.failure or failure
