"""Sign in with garth 0.8: the mobile JSON flow, then OAuth1, then OAuth2.

garth's traps, and what is done about each: the mutable default of `Client.request`'s headers
(fresh ones on every call), the module-global client (never used), the OAuth consumer fetched
without a deadline (fetched here, before the password is sent), errors whose text holds the ticket
(read from the response, raised `from None`), an adapter for each client (one for the process),
settings and telemetry from the environment (its `__init__` is not called).
"""

import json
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import requests

from shared.errors import (
    ClientRefusedError,
    GarminUnavailableError,
    MfaCodeInvalidError,
    PasswordSpentError,
    SignInError,
    TokensRejectedError,
)
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminDomain,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.imports import absent
from worker.drivers.answers import Answer, identity, mfa_type
from worker.drivers.cookies import dump_cookies, load_cookies
from worker.drivers.driver import Permit, SignInPermit
from worker.drivers.http import GarminAdapter, NoAnswerError, PermittedAdapter
from worker.drivers.pages import Page

# logfire is garth's telemetry: 12 MB, and a leak of what it sees. garth works without it.
with warnings.catch_warnings(), absent("logfire"):
    warnings.simplefilter("ignore", DeprecationWarning)  # garth announces its deprecation
    import garth
    from garth import sso
    from garth.auth_tokens import OAuth1Token, OAuth2Token
    from garth.exc import GarthException, GarthHTTPError
    from garth.http import USER_AGENT
    from garth.utils import asdict

_SIGN_IN_PATH = "/mobile/api/"
_PASSWORD_PATH = "/mobile/api/login"  # noqa: S105
_TICKET_PATH = "/oauth-service/oauth/preauthorized"
_REFUSED_AT_TICKET = {401, 403, 427, 429}
_OAUTH1_LIFETIME = timedelta(days=365)
_CONSUMER_TRIES = 2


class GarthDriver:
    name = "garth"

    def __init__(self, adapter: GarminAdapter) -> None:
        self._adapter = adapter
        self._consumer_lock = threading.Lock()

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        self._fetch_consumer(permit)
        client = self._client(credentials.domain, permit)
        client.before_password = partial(permit.post_password, "mobile")
        with _translated(client, _sign_in_error):
            result = sso.login(
                credentials.username.get_secret_value(),
                credentials.password.get_secret_value(),
                client=client,
                prompt_mfa=None,
                return_on_mfa=True,
            )
            if result[0] == "needs_mfa":
                return CodeRequired(pending=_pending(client, result[1]))
        return SignedIn(tokens=_tokens(*result))

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        self._fetch_consumer(permit)
        state = json.loads(pending.state.get_secret_value())
        client = self._client(pending.domain, permit)
        client.sess.cookies = load_cookies(state["cookies"])
        resumed = {k: state[k] for k in ("login_params", "mfa_method")} | {"client": client}
        try:
            with _translated(client, _sign_in_error):
                tokens = sso.resume_login(resumed, code)
        except MfaCodeInvalidError:
            raise MfaCodeInvalidError(state=_state(client, state)) from None
        return SignedIn(tokens=_tokens(*tokens))

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        client = self._client(tokens.domain, permit, _load(tokens))
        with _translated(client, _profile_error):
            return identity(client.connectapi("/userprofile-service/socialProfile"))

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        self._fetch_consumer(permit)
        oauth1, _ = _load(tokens)
        client = self._client(tokens.domain, permit)
        with _translated(client, _profile_error):
            fresh = sso.exchange(oauth1, client)
        return _tokens(oauth1, fresh)

    def _client(
        self,
        domain: GarminDomain,
        permit: Permit,
        tokens: tuple[OAuth1Token, OAuth2Token] | None = None,
    ) -> "_Client":
        client = _Client(domain, self._adapter.permitted(permit))
        if tokens:
            client.oauth1_token, client.oauth2_token = tokens
        return client

    def _fetch_consumer(self, permit: Permit) -> None:
        """Fetch Garmin's OAuth consumer, once a process. Raises GarminUnavailableError."""
        with self._consumer_lock:
            for _ in range(_CONSUMER_TRIES):
                if sso.OAUTH_CONSUMER:
                    return
                sso.OAUTH_CONSUMER = self._try_consumer(permit)
            if not sso.OAUTH_CONSUMER:
                raise GarminUnavailableError

    def _try_consumer(self, permit: Permit) -> dict[str, str]:
        with requests.Session() as session:
            session.mount("https://", self._adapter.permitted(permit))
            try:
                consumer = session.get(sso.OAUTH_CONSUMER_URL).json()
                return {k: consumer[k] for k in ("consumer_key", "consumer_secret")}
            except (requests.RequestException, ValueError, KeyError, TypeError):
                return {}


class _NoAnswer(GarthException):
    """Garmin did not answer. A GarthException, because garth ignores those where it can."""

    def __init__(self, failure: NoAnswerError) -> None:
        super().__init__(msg="no answer")
        self.error = failure.error


class _Client(garth.Client):
    def __init__(self, domain: GarminDomain, adapter: PermittedAdapter) -> None:
        """Set what a request needs.

        The library's own sets up telemetry too, resumes a session that the environment names, and
        reads the environment's settings for both each time.
        """
        self.domain = str(domain)
        self.route = adapter.route
        self.before_password: Callable[[], None] = _no_password
        self.sess = requests.Session()
        self.sess.headers.update(USER_AGENT)
        self.sess.mount("https://", adapter)

    def request(
        self,
        method: str,
        subdomain: str,
        path: str,
        /,
        api: bool = False,
        referrer: str | bool = False,
        headers: dict[str, str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the library's signature
    ) -> requests.Response:
        """Send with headers that no other call sees, and never redirect what holds a secret."""
        if path == _PASSWORD_PATH:
            self.before_password()
        kwargs.setdefault("allow_redirects", method == "GET")
        fresh = dict(headers or {})
        try:
            response = super().request(
                method, subdomain, path, api=api, referrer=referrer, headers=fresh, **kwargs
            )
        except NoAnswerError as failure:
            raise _NoAnswer(failure) from None
        if path.startswith(_SIGN_IN_PATH) and not _page(response).accepted:
            raise _sign_in_error(response)
        return response


def _no_password() -> None:
    """Only a sign-in posts a password."""
    raise PasswordSpentError


@contextmanager
def _translated(
    client: _Client, judge: Callable[[requests.Response], SignInError]
) -> Iterator[None]:
    with client.route.describing(), _our_errors(client, judge):
        yield


@contextmanager
def _our_errors(
    client: _Client, judge: Callable[[requests.Response], SignInError]
) -> Iterator[None]:
    """Turn what garth raises into our errors. `judge` reads the answer that garth rejected."""
    try:
        yield
    except SignInError:
        raise
    except GarthHTTPError as error:
        raise judge(error.error.response) from None
    except (_NoAnswer, NoAnswerError) as failure:
        raise failure.error from None
    except requests.HTTPError as error:
        raise _oauth_error(error.response) from None
    except (
        GarthException,
        requests.RequestException,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ):
        raise GarminUnavailableError from None


def _oauth_error(response: requests.Response) -> SignInError:
    answer = Answer.of(response)
    if _TICKET_PATH in response.url and response.status_code in _REFUSED_AT_TICKET:
        return ClientRefusedError(answer.retry_after)
    if response.status_code in (400, 401):
        return TokensRejectedError()
    return answer.refusal() or GarminUnavailableError(answer.retry_after)


def _page(response: requests.Response) -> Page:
    return Page.of(response.request.method or "", response.url, response)


def _sign_in_error(response: requests.Response) -> SignInError:
    return _page(response).error()


def _profile_error(response: requests.Response) -> SignInError:
    answer = Answer.of(response)
    if answer.status in (401, 403):
        return TokensRejectedError()
    return GarminUnavailableError(answer.retry_after)


def _pending(client: _Client, result: dict[str, Any]) -> PendingSignIn:
    answer = Answer.of(client.last_resp)
    kind = mfa_type(answer.mfa_method())
    return PendingSignIn(
        driver=GarthDriver.name,
        domain=client.domain,
        mfa_type=kind,
        mfa_destination=answer.mfa_destination(kind),
        state=_state(client, result | {"mfa_method": answer.mfa_method()}),
    )


def _state(client: _Client, result: dict[str, Any]) -> str:
    """Dump what another process needs to go on: under a kilobyte of JSON."""
    return json.dumps(
        {
            "cookies": dump_cookies(client.sess.cookies),
            "login_params": result["login_params"],
            "mfa_method": result["mfa_method"],
        }
    )


def _tokens(oauth1: OAuth1Token, oauth2: OAuth2Token) -> GarminTokens:
    mfa_expiry = oauth1.mfa_expiration_timestamp
    return GarminTokens(
        driver=GarthDriver.name,
        domain=oauth1.domain,
        data=json.dumps({"oauth1": _asdict(oauth1), "oauth2": _asdict(oauth2)}),
        access_expires_at=datetime.fromtimestamp(oauth2.expires_at, UTC),
        # The OAuth1 token refreshes it for about a year; Garmin names the day for MFA accounts.
        refresh_expires_at=_utc(mfa_expiry) if mfa_expiry else datetime.now(UTC) + _OAUTH1_LIFETIME,
    )


def _asdict(token: OAuth1Token | OAuth2Token) -> Any:  # noqa: ANN401
    return asdict(token)  # type: ignore[no-untyped-call]


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _load(tokens: GarminTokens) -> tuple[OAuth1Token, OAuth2Token]:
    data = json.loads(tokens.data.get_secret_value())
    return OAuth1Token(**data["oauth1"]), OAuth2Token(**data["oauth2"])
