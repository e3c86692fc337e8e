"""What keeps garminconnect from posting a secret again, and from going on with a lost job.

Left alone, one `login` posts the password up to eleven times, and sends each wrong code to two
endpoints. Here every session of the library is one that asks for permission before each request
and looks at each answer; the library is stopped as soon as an answer holds a verdict, and posts a
password by each way in once.
"""

import json
from collections.abc import Callable
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from curl_cffi import CurlOpt
from curl_cffi import requests as curl_requests
from garminconnect import client as library
from garminconnect.client import sso as library_sso
from garminconnect.exceptions import GarminConnectAuthenticationError

from shared import errors
from shared.garmin.types import Credentials
from worker.drivers import causes
from worker.drivers.causes import Cause
from worker.drivers.pages import Page
from worker.drivers.route import Route

_STRATEGIES = {"mobile+cffi", "mobile+requests", "widget+cffi", "portal+cffi", "portal+requests"}
_USED = {"mobile+cffi", "widget+cffi"}
_DELAYS = ("MOBILE_DELAY_MIN_S", "MOBILE_DELAY_MAX_S", "WIDGET_DELAY_MIN_S", "WIDGET_DELAY_MAX_S")
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


class Stop(GarminConnectAuthenticationError):
    """Our own error, as the one kind at which the library stops trying."""

    def __init__(self, verdict: errors.FitTrackError) -> None:
        super().__init__("verdict")
        self.verdict = verdict


class PostedAlreadyError(Exception):
    """The library was about to post a secret that Garmin has already judged, or may have."""


class Passwords:
    """The posts of one sign-in's password. A way in is the first part of its URLs' path."""

    def __init__(self, ask: Callable[[str], None]) -> None:
        self._ask = ask
        self._posted: dict[str, GuardedSession] = {}

    def check(self, session: "GuardedSession", url: str) -> None:
        """Raise PostedAlreadyError where another session has posted the password by this way."""
        if self._posted.get(_way(url), session) is not session:
            raise PostedAlreadyError

    def post(self, session: "GuardedSession", url: str) -> None:
        """Raises what the permit raises, as Stop."""
        try:
            self._ask(_way(url))
        except errors.FitTrackError as error:
            raise Stop(error) from None
        self._posted[_way(url)] = session


def _way(url: str) -> str:
    return urlsplit(url).path.split("/")[1]


def _no_password(way: str) -> None:
    """Only a sign-in posts a password."""
    raise errors.PasswordSpentError


class GuardedSession(curl_requests.Session[Any]):
    """A curl_cffi session that asks before each request and keeps the last answer.

    It posts nothing after a verdict, nor after a request whose answer got lost or has no meaning:
    Garmin may have seen that one. It posts again only after a refusal of the client.
    """

    def __init__(self, route: Route, passwords: Passwords, **options: Any) -> None:  # noqa: ANN401 - curl_cffi's
        super().__init__(**options)
        self.page: Page | None = None
        self._route = route
        self._passwords = passwords
        self._may_not_post = False

    def request(self, method: Any, url: str, **kwargs: Any) -> Any:  # type: ignore[override]  # noqa: ANN401
        is_post = method == "POST"
        if is_post and self._may_not_post:
            raise PostedAlreadyError
        self._passwords.check(self, url)
        self.page = None
        try:
            connecting, whole = self._route.limits()
        except errors.FitTrackError as error:
            raise Stop(error) from None
        if "password" in (kwargs.get("json") or kwargs.get("data") or ()):
            self._passwords.post(self, url)
        kwargs["timeout"] = (connecting, whole - connecting)  # curl_cffi adds them up
        self._may_not_post = self._may_not_post or is_post
        # On a connection that was used before, curl itself sends again what got no answer.
        options: dict[Any, Any] = {CurlOpt.FRESH_CONNECT: int(is_post)}
        if self._route.proxy:
            kwargs["proxy"] = self._route.proxy.url.get_secret_value()
            options[CurlOpt.NOPROXY] = ""  # or curl follows NO_PROXY nevertheless
        self.curl_options = options
        if "json" in kwargs:
            # A redirect would carry the secret on to wherever it points; only the widget has any.
            kwargs.setdefault("allow_redirects", False)
        try:
            response = super().request(method, url, **kwargs)
        except curl_requests.RequestsError as error:
            raise Stop(self._route.failed(method, url, self._cause(error))) from None
        self._route.answered(method, url, response)
        self.page = Page.of(method, url, response)
        if is_post:
            answer = self.page.answer
            self._may_not_post = answer.has_verdict or answer.refusal() is None
        return response

    def _cause(self, error: curl_requests.RequestsError) -> Cause:
        return causes.of_curl(
            int(error.code),
            str(error),
            proxied=self._route.proxy is not None,
            has_status=bool(error.response is not None and error.response.status_code),
        )


class GuardedClient(library.Client):
    """The library's client for one job. `delays` is a factor for its waits before a post."""

    def __init__(self, domain: str, route: Route, delays: float = 1.0) -> None:
        super().__init__(domain, verify_login=False)  # the driver asks for the profile anyway
        self.skip_strategies = _STRATEGIES - _USED
        self._route = route
        self._passwords = Passwords(_no_password)
        self._session: GuardedSession | None = None
        self._retry_after: int | None = None
        self._give_sessions(delays)

    @property
    def page(self) -> Page | None:
        """The last answer to the sign-in; None if it got lost."""
        return self._session.page if self._session else None

    def sign_in(
        self, credentials: Credentials, before_password: Callable[[str], None]
    ) -> dict[str, Any] | None:
        """Return the library's state if a code is needed, None once signed in.

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
            return dict(state) if result == "needs_mfa" else None
        finally:
            self._close_session()
        raise self._checked(failure)

    def finish(self, state: dict[str, Any], code: str) -> None:
        """Check the code, and redeem the ticket."""
        try:
            self.resume_login(state, code)
        except Stop as stop:
            failure = stop.verdict
        except Exception:
            failure = errors.GarminUnavailableError()
        else:
            return
        finally:
            self._close_session()
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

    def _http_post(self, url: str, **kwargs: Any) -> Any:  # noqa: ANN401 - the library's signature
        with GuardedSession(self._route, self._passwords) as session:
            return session.post(url, impersonate="chrome", **kwargs)

    def _post_credentials(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        try:
            super()._post_credentials(*args, **kwargs)
        except Stop:
            raise
        except Exception:
            if self.page is None:
                raise Stop(errors.GarminUnavailableError()) from None
            answer, refusal = self.page.answer, self.page.answer.refusal()
            if answer.type == "MFA_REQUIRED" or (refusal and not refusal.final):
                raise  # a code is required, or the next way in may be let in
            raise Stop(answer.sign_in_error()) from None

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
        try:
            self._exchange_service_ticket(ticket, service_url=service_url)
        except Stop:
            raise
        except Exception:
            raise Stop(errors.GarminUnavailableError()) from None
        if not self.di_refresh_token:
            raise Stop(errors.GarminUnavailableError())

    def _sign_in_error(self) -> errors.SignInError:
        """What the last page means, where no JSON answer had a verdict: the widget's."""
        if self.page is None:
            return errors.GarminUnavailableError()
        self._note_retry_after()
        error = self.page.sign_in_error()
        if isinstance(error, errors.ClientRefusedError):
            return errors.ClientRefusedError(
                self._retry_after, scope=error.scope, final=error.final
            )
        return error

    def _code_error(self) -> errors.SignInError:
        page = self.page
        if page is None or page.answer.type == "SUCCESSFUL":
            return errors.GarminUnavailableError()
        error = page.code_error() if self._mfa_flow == "widget" else page.answer.code_error()
        if isinstance(error, errors.MfaCodeInvalidError):
            return errors.MfaCodeInvalidError(state=json.dumps(self._mfa_client_state()))
        return error

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
