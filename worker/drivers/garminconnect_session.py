"""What keeps garminconnect from posting a secret again, and from going on with a lost job.

Every session of the library is one that asks for permission before each request and looks at each
answer first: the library is stopped as soon as one ends the sign-in.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from curl_cffi import CurlOpt
from curl_cffi import requests as curl_requests
from garminconnect.exceptions import GarminConnectAuthenticationError
from requests.utils import get_environ_proxies, select_proxy

from shared import errors
from worker.drivers import causes
from worker.drivers.answers import Answer
from worker.drivers.causes import Cause
from worker.drivers.pages import Page, Step
from worker.drivers.route import Route


class Stop(GarminConnectAuthenticationError):
    """Our own error, as the one kind at which the library stops trying."""

    def __init__(self, verdict: errors.FitTrackError) -> None:
        super().__init__("verdict")
        self.verdict = verdict


class PostedAlreadyError(Exception):
    """The library was about to post a secret that Garmin has already judged, or may have."""


class Passwords:
    """The posts of one sign-in's password. A way in is the first part of its URLs' path."""

    def __init__(self, ask: Callable[[str], None] | None = None) -> None:
        self._ask = ask or _no_password
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


def _environment_has_proxy(url: str) -> bool:
    return bool(select_proxy(url, get_environ_proxies(url)))


def _no_password(way: str) -> None:
    """Only a sign-in posts a password."""
    raise errors.PasswordSpentError


class GuardedSession(curl_requests.Session[Any]):
    """A curl_cffi session that asks before each request and reads each answer first.

    An answer that ends the sign-in never reaches the library, which would try another way in. It
    gets those that let the sign-in go on, and refusals after which a secret may be posted again;
    it may not after a request whose answer got lost, because Garmin may have seen that one.
    """

    def __init__(self, route: Route, passwords: Passwords, **options: Any) -> None:  # noqa: ANN401 - curl_cffi's
        super().__init__(**options)
        self.page: Page | None = None
        self.code_page: Page | None = None
        self.csrf_token: str | None = None
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
            raise Stop(self._route.failed(method, url, self._cause(error, url))) from None
        self._route.answered(method, url, response)
        page = self.page = Page.of(method, url, response)
        if is_post and page.step is not Step.OTHER:
            self._read(page)
            self.csrf_token = (kwargs.get("data") or {}).get("_csrf")
        if page.answer.type == "MFA_REQUIRED":
            response.content = _as_the_library_reads_it(page.answer)
        return response

    def _cause(self, error: curl_requests.RequestsError, url: str) -> Cause:
        return causes.of_curl(
            int(error.code),
            str(error),
            proxied=self._route.proxy is not None or _environment_has_proxy(url),
            has_status=bool(error.response is not None and error.response.status_code),
        )

    def _read(self, page: Page) -> None:
        """Raise Stop unless the sign-in goes on, or the secret may be posted in another way."""
        if page.accepted:
            if page.step is Step.PASSWORD:
                self.code_page = page
            self._may_not_post = page.step is not Step.PASSWORD
            return
        error = page.error()
        if not isinstance(error, errors.ClientRefusedError) or error.final:
            raise Stop(error)
        self._may_not_post = False


def _as_the_library_reads_it(answer: Answer) -> bytes:
    """Write an answer that wants a code so that the library finds how it is sent.

    It fails where Garmin does not say, and would post the password again.
    """
    body = dict(answer.body or {}) | {"customerMfaInfo": {"mfaLastMethodUsed": answer.mfa_method()}}
    return json.dumps(body).encode()
