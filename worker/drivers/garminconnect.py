"""Signing in with garminconnect 0.3: curl_cffi with a browser's TLS, then DI tokens.

Left alone, one `login` posts the password up to eleven times, and sends each wrong code to two
endpoints. `_Client` watches Garmin's answers and stops the library as soon as one holds a verdict.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from curl_cffi import CurlOpt
from curl_cffi import requests as curl_requests
from garminconnect import client as library
from garminconnect.client import constants as library_constants
from garminconnect.client import sso as library_sso
from garminconnect.exceptions import (
    GarminConnectAuthenticationError,
    GarminConnectConnectionError,
    GarminConnectTooManyRequestsError,
)
from pydantic import SecretStr

from shared import errors
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.timings import PRODUCTION, Timings
from worker.drivers.answers import Answer, identity, mfa_type
from worker.drivers.http import GarminAdapter
from worker.lease import checkpoint

_STRATEGIES = {"mobile+cffi", "mobile+requests", "widget+cffi", "portal+cffi", "portal+requests"}
_USED = {"mobile+cffi", "widget+cffi"}
_REFRESH_LIFETIME = timedelta(days=30)  # 2591999 s, as the exchange says of its refresh tokens
_ACCESS_LIFETIME = timedelta(hours=1)  # where the token does not say; the shortest is 18 hours
_REFUSED = (
    "returned 403",
    "returned 429",
    "returned 427",
    "http 403",
    "missing csrf token",
    "just a moment",  # the titles of Cloudflare's own pages
    "attention required",
)
_DELAYS = ("MOBILE_DELAY_MIN_S", "MOBILE_DELAY_MAX_S", "WIDGET_DELAY_MIN_S", "WIDGET_DELAY_MAX_S")
_SIGN_IN_TITLE = "garmin authentication application"


class GarminConnectDriver:
    name = "garminconnect"

    def __init__(self, adapter: GarminAdapter, timings: Timings = PRODUCTION) -> None:
        self._adapter = adapter
        _scale_delays(timings.library_delays)

    def sign_in(self, credentials: Credentials) -> SignedIn | CodeRequired:
        client = _Client(str(credentials.domain))
        state = client.sign_in(credentials.username, credentials.password)
        if state is None:
            return SignedIn(tokens=_tokens(client))
        kind = mfa_type(state["method"])
        pending = PendingSignIn(
            driver=self.name,
            domain=credentials.domain,
            mfa_type=kind,
            mfa_destination=client.mfa_destination(kind),
            state=json.dumps(state),
        )
        return CodeRequired(pending=pending)

    def finish(self, pending: PendingSignIn, code: str) -> SignedIn:
        client = _Client(str(pending.domain))
        client.finish(json.loads(pending.state.get_secret_value()), code)
        return SignedIn(tokens=_tokens(client))

    def identify(self, tokens: GarminTokens) -> GarminIdentity:
        client = _loaded(tokens)
        url = f"https://connectapi.{tokens.domain}/userprofile-service/socialProfile"
        with requests.Session() as session:
            session.mount("https://", self._adapter)
            try:
                response = session.get(url, headers=client.get_api_headers())
            except requests.RequestException:
                raise errors.GarminUnavailableError from None
        if response.status_code in (401, 403):
            raise errors.TokensRejectedError
        answer = Answer.of(response)
        if response.status_code != 200:
            raise errors.GarminUnavailableError(answer.retry_after)
        return identity(answer.body)

    def refresh(self, tokens: GarminTokens) -> GarminTokens:
        client = _loaded(tokens)
        checkpoint()
        try:
            client._refresh_di_token()
        except GarminConnectAuthenticationError as error:
            if str(error).endswith(("400", "401")):
                raise errors.TokensRejectedError from None
            if str(error).endswith("429"):
                raise errors.GarminRateLimitedError from None
            raise errors.GarminUnavailableError from None
        except Exception:
            raise errors.GarminUnavailableError from None
        return _tokens(client)


def _scale_delays(factor: float) -> None:
    """Set the delays before each post of a password, which are globals of the library."""
    for name in _DELAYS:
        setattr(library_sso, name, getattr(library_constants, name) * factor)


class _Stop(GarminConnectAuthenticationError):
    """Garmin's verdict, as the one kind of error at which the library stops trying."""

    def __init__(self, verdict: errors.FitTrackError) -> None:
        super().__init__("verdict")
        self.verdict = verdict


class _Session(curl_requests.Session[Any]):
    """curl_cffi's, which asks before each request whether the job may go on."""

    def request(self, method: Any, url: str, **kwargs: Any) -> Any:  # type: ignore[override]  # noqa: ANN401
        checkpoint()
        # On a connection that was used before, curl itself sends again what got no answer.
        self.curl_options = {CurlOpt.FRESH_CONNECT: int(method == "POST")}  # type: ignore[dict-item]
        return super().request(method, url, **kwargs)


class _Curl:
    """`curl_cffi.requests`, as far as the library uses it."""

    Session = _Session

    @staticmethod
    def post(url: str, **kwargs: Any) -> Any:  # noqa: ANN401
        with _Session() as session:
            return session.post(url, **kwargs)


# Where the library looks it up at every call.
library.cffi_requests = _Curl  # type: ignore[attr-defined,assignment]


class _Watched:
    """A library session that remembers the last answer.

    It sends no secret after a verdict, nor after a request whose answer got lost or says nothing:
    Garmin may have seen that one. Only after a refusal of the client it goes on.
    """

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - curl_cffi's or requests'
        self.session = session
        self.answer: Answer | None = None
        self.page = ""
        self._is_over = False

    def post(self, url: str, **kwargs: Any) -> Any:  # noqa: ANN401 - the library's signature
        if self._is_over:
            message = "sent already"
            raise RuntimeError(message)
        self._is_over = True
        if "json" in kwargs:
            # A redirect would carry the secret on to wherever it points; only the widget has any.
            kwargs.setdefault("allow_redirects", False)
        response = self.session.post(url, **kwargs)
        self.answer, self.page = Answer.of(response), response.text
        self._is_over = self.answer.has_verdict or self.answer.refusal() is None
        return response

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.session, name)


class _Client(library.Client):
    def __init__(self, domain: str) -> None:
        super().__init__(domain, verify_login=False)  # `identify` asks for the profile anyway
        self.skip_strategies = _STRATEGIES - _USED
        self._last: Answer | None = None

    def sign_in(self, username: SecretStr, password: SecretStr) -> dict[str, Any] | None:
        """The library's state if a code is needed, None when signed in."""
        try:
            result, state = self.login(
                username.get_secret_value(), password.get_secret_value(), return_on_mfa=True
            )
        except _Stop as stop:
            failure = stop.verdict
        except Exception as error:
            failure = self._sign_in_error(error)
        else:
            if result == "needs_mfa":
                return dict(state)
            self._require_tokens()
            return None
        raise _ours(failure)

    def finish(self, state: dict[str, Any], code: str) -> None:
        try:
            self.resume_login(state, code)
        except _Stop as stop:
            failure = stop.verdict
        except Exception:
            failure = errors.GarminUnavailableError()
        else:
            self._require_tokens()
            return
        raise _ours(failure)

    def mfa_destination(self, kind: str) -> str | None:
        return self._last.mfa_destination(kind) if self._last else None

    def _post_credentials(self, sess: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        watched = _Watched(sess)
        try:
            super()._post_credentials(watched, *args, **kwargs)
        except errors.FitTrackError as error:
            raise _Stop(error) from None
        except Exception:
            answer = self._last = watched.answer
            if self._mfa_session is watched:
                self._mfa_session = sess
            if answer is not None and (answer.type == "MFA_REQUIRED" or answer.refusal()):
                raise  # the code is asked for, or another fingerprint may be let in
            verdict = answer.sign_in_error() if answer else errors.GarminUnavailableError()
            raise _Stop(verdict) from None

    def _complete_mfa(self, mfa_code: str) -> None:
        watched = _Watched(self._mfa_session)
        self._mfa_session = watched
        try:
            super()._complete_mfa(mfa_code)
        except Exception:
            self._mfa_session = watched.session
            raise _Stop(self._code_error(watched)) from None

    def _code_error(self, watched: _Watched) -> errors.SignInError:
        answer = watched.answer
        if answer is None or answer.type == "SUCCESSFUL":
            return errors.GarminUnavailableError()
        error = _page_error(answer, watched.page) if self._mfa_flow == "widget" else None
        error = error or answer.code_error()
        if isinstance(error, errors.MfaCodeInvalidError):
            return errors.MfaCodeInvalidError(state=json.dumps(self._mfa_client_state()))
        return error

    def _sign_in_error(self, error: Exception) -> errors.SignInError:
        """What the library's last words mean, where no JSON answer had a verdict: the widget's."""
        text = str(error).lower()
        retry_after = self._last.retry_after if self._last else None
        if isinstance(error, GarminConnectAuthenticationError):
            return _widget_verdict(text)
        if isinstance(error, GarminConnectTooManyRequestsError) or any(r in text for r in _REFUSED):
            return errors.ClientRefusedError(retry_after)
        if isinstance(error, GarminConnectConnectionError) and _SIGN_IN_TITLE in text:
            return errors.InvalidCredentialsError()  # the sign-in page again
        return errors.GarminUnavailableError()

    def _require_tokens(self) -> None:
        """The library falls back to a cookie that its own dump does not hold: no use to anyone."""
        if not (self.di_token and self.di_refresh_token):
            raise errors.GarminUnavailableError


def _ours(failure: errors.FitTrackError) -> errors.FitTrackError:
    """The failure. Raises TimedOutError or JobLostError if that is what the library stumbled on."""
    if isinstance(failure, errors.GarminUnavailableError):
        checkpoint()
    return failure


def _widget_verdict(text: str) -> errors.SignInError:
    if "widget authentication failed" in text:
        return errors.AccountLockedError() if "locked" in text else errors.InvalidCredentialsError()
    if "invalid username or password" in text:
        return errors.InvalidCredentialsError()
    return errors.GarminUnavailableError()


def _page_error(answer: Answer, page: str) -> errors.SignInError | None:
    """What the widget's HTML says of a code: the code page again, with `id="invalidCode"`."""
    title = page.lower().partition("<title>")[2].partition("</title>")[0]
    if answer.status >= 500:
        return errors.GarminUnavailableError(answer.retry_after)
    if "success" in title:
        return errors.GarminUnavailableError()
    if "locked" in title:
        return errors.AccountLockedError()
    if "expired" in title:
        return errors.SignInExpiredError()
    if "mfa" in title or _SIGN_IN_TITLE in title:
        return errors.MfaCodeInvalidError()
    return None


def _tokens(client: _Client) -> GarminTokens:
    now = datetime.now(UTC)
    return GarminTokens(
        driver=GarminConnectDriver.name,
        domain=client.domain,
        data=client.dumps(),
        access_expires_at=_jwt_expiry(client.di_token) or now + _ACCESS_LIFETIME,
        refresh_expires_at=now + _REFRESH_LIFETIME,
    )


def _loaded(tokens: GarminTokens) -> _Client:
    client = _Client(str(tokens.domain))
    client.loads(tokens.data.get_secret_value())
    return client


def _jwt_expiry(token: str | None) -> datetime | None:
    """`exp` of a JWT, unverified: Garmin's own API is who checks it."""
    try:
        payload = (token or "").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
