"""Sign in with garminconnect 0.3: curl_cffi with a browser's TLS, then DI tokens."""

import base64
import json
from datetime import UTC, datetime, timedelta

import requests
from garminconnect.exceptions import GarminConnectAuthenticationError

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
from worker.drivers.driver import Permit, SignInPermit
from worker.drivers.garminconnect_guard import GuardedClient
from worker.drivers.garminconnect_session import Stop
from worker.drivers.http import GarminAdapter, NoAnswerError
from worker.drivers.route import Route

_REFRESH_LIFETIME = timedelta(days=30)  # 2591999 s, as the exchange says of its refresh tokens
_ACCESS_LIFETIME = timedelta(hours=1)  # where the token does not say; the shortest is 18 hours


class GarminConnectDriver:
    name = "garminconnect"

    def __init__(self, adapter: GarminAdapter, timings: Timings = PRODUCTION) -> None:
        self._adapter = adapter
        self._delays = timings.garminconnect_delays

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        route = self._route(permit)
        client = GuardedClient(str(credentials.domain), route, self._delays)
        with route.describing():
            state = client.sign_in(credentials, permit.post_password)
        if state is None:
            return SignedIn(tokens=_tokens(client))
        kind = mfa_type(state["method"])
        pending = PendingSignIn(
            driver=self.name,
            domain=credentials.domain,
            mfa_type=kind,
            mfa_destination=client.code_page.mfa_destination(kind) if client.code_page else None,
            state=json.dumps(state),
        )
        return CodeRequired(pending=pending)

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        route = self._route(permit)
        client = GuardedClient(str(pending.domain), route)
        with route.describing():
            client.finish(json.loads(pending.state.get_secret_value()), code)
        return SignedIn(tokens=_tokens(client))

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        headers = _loaded(tokens, self._route(permit)).get_api_headers()
        url = f"https://connectapi.{tokens.domain}/userprofile-service/socialProfile"
        adapter = self._adapter.permitted(permit, self.name)
        with requests.Session() as session, adapter.route.describing():
            session.mount("https://", adapter)
            try:
                response = session.get(url, headers=headers)
            except NoAnswerError as failure:
                raise failure.error from None
            except requests.RequestException:
                raise errors.GarminUnavailableError from None
            if response.status_code in (401, 403):
                raise errors.TokensRejectedError
            answer = Answer.of(response)
            if response.status_code != 200:
                raise errors.GarminUnavailableError(answer.retry_after)
            return identity(answer.body)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        route = self._route(permit)
        client = _loaded(tokens, route)
        with route.describing():
            _refresh(client)
        return _tokens(client)

    def _route(self, permit: Permit) -> Route:
        return self._adapter.route(self.name, permit)


def _refresh(client: GuardedClient) -> None:
    try:
        client._refresh_di_token()
    except Stop as stop:
        raise stop.verdict from None
    except GarminConnectAuthenticationError as error:
        if str(error).endswith(("400", "401")):
            raise errors.TokensRejectedError from None
        if str(error).endswith("429"):
            raise errors.GarminRateLimitedError from None
        raise errors.GarminUnavailableError from None
    except Exception:
        raise errors.GarminUnavailableError from None


def _tokens(client: GuardedClient) -> GarminTokens:
    now = datetime.now(UTC)
    return GarminTokens(
        driver=GarminConnectDriver.name,
        domain=client.domain,
        data=client.dumps(),
        access_expires_at=_jwt_expiry(client.di_token) or now + _ACCESS_LIFETIME,
        refresh_expires_at=now + _REFRESH_LIFETIME,
    )


def _loaded(tokens: GarminTokens, route: Route) -> GuardedClient:
    client = GuardedClient(str(tokens.domain), route)
    client.loads(tokens.data.get_secret_value())
    return client


def _jwt_expiry(token: str | None) -> datetime | None:
    """Read `exp` of a JWT, unverified: Garmin's own API is who checks it."""
    try:
        payload = (token or "").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
