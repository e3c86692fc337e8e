"""garth's exchange: a ticket for an OAuth1 token, and that for OAuth2 tokens."""

import secrets
import uuid
from datetime import UTC, datetime
from urllib.parse import urlencode

from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint

from dev.simulator.messages import Request, Response, json_response, text_response
from dev.simulator.refreshes import lost_or, refused_refresh
from dev.simulator.replies import cloudflare_page
from dev.simulator.state import State
from dev.simulator.tokens import OAuth1Token

CONSUMER_KEY = "5a1d0c3e-7f42-4b8e-9c55-0000f17e57ed"
CONSUMER_SECRET = "simulated-consumer-secret"
SCOPE = " ".join(
    (
        "COMMUNITY_COURSE_READ GARMINPAY_WRITE GOLF_API_READ ATP_READ GHS_SAMD GHS_UPLOAD",
        "INSIGHTS_READ COMMUNITY_COURSE_WRITE CONNECT_WRITE GCOFFER_WRITE GARMINPAY_READ",
        "DT_CLIENT_ANALYTICS_WRITE GOLF_API_WRITE INSIGHTS_WRITE PRODUCT_SEARCH_READ",
        "GCOFFER_READ CONNECT_READ ATP_WRITE",
    )
)


def consumer(state: State, request: Request) -> Response:
    """The consumer key and secret that garth fetches from S3."""
    value = {"consumer_key": CONSUMER_KEY, "consumer_secret": CONSUMER_SECRET}
    return json_response(200, value)


def preauthorized(state: State, request: Request) -> Response:
    """`GET …/oauth/preauthorized`: exchange a ticket for an OAuth1 token, as form text."""
    if not _signer(state, request, needs_token=False):
        return _unauthorized("Invalid signature")
    ticket = state.tokens.find_ticket(
        request.query.get("ticket", ""),
        request.query.get("login-url", ""),
        request.domain,
        state.now(),
    )
    if ticket is None or ticket.account.ticket_refused:
        return _unauthorized("Invalid ticket")
    state.redeem(ticket)
    state.count("oauth1_exchanges", ticket.account, ticket.client)
    token = state.tokens.new_oauth1(ticket, state.now() + state.settings.oauth1_ttl_s)
    state.issued.record("oauth1_token", token.value)
    state.issued.record("oauth1_secret", token.secret)
    fields = {"oauth_token": token.value, "oauth_token_secret": token.secret}
    text = urlencode(fields)
    if token.mfa_token:
        state.issued.record("mfa_token", token.mfa_token)
        until = datetime.fromtimestamp(token.expires_at, UTC)
        text += (
            f"&mfa_token={token.mfa_token}&mfa_expiration_timestamp={until:%Y-%m-%d %H:%M:%S}.000"
        )
    return text_response(200, text)


def exchange(state: State, request: Request) -> Response:
    """`POST …/oauth/exchange/user/2.0`: issue OAuth2 tokens, at sign-in and at each refresh."""
    if not (key := _signer(state, request, needs_token=True)):
        return _unauthorized("Invalid signature")
    token = state.tokens.oauth1[key]
    if token.expires_at <= state.now() or request.form.get("mfa_token") != token.mfa_token:
        return _unauthorized("Invalid token")
    if token.account.exchange_refused:
        return cloudflare_page()
    if not is_refresh(request):
        return _exchanged(state, token)
    dead = _unauthorized("Invalid token")
    refusal = refused_refresh(token.account, dead)
    return refusal or lost_or(state, token.account, _exchanged(state, token))


def is_refresh(request: Request) -> bool:
    """Whether an exchange renews tokens: garth names an audience only at sign-in."""
    return "audience" not in request.form


def _exchanged(state: State, token: OAuth1Token) -> Response:
    state.count("oauth2_exchanges", token.account, token.client)
    return json_response(200, _oauth2_tokens(state, token), ("Cache-Control", "no-store"))


def _oauth2_tokens(state: State, token: OAuth1Token) -> dict[str, object]:
    ttl, now = state.access_ttl(), state.now()
    access = state.tokens.new_jwt(
        "oauth2",
        token.account,
        token.client,
        now,
        now + ttl,
        scope=SCOPE.split(),
        iss=f"https://connectapi.{token.account.domain}",
        client_id="GARMIN_CONNECT_MOBILE_ANDROID_DI",
    )
    refresh_token = secrets.token_urlsafe(96)
    state.issued.record("access_token", access.value)
    state.issued.record("refresh_token", refresh_token)
    return {
        "scope": SCOPE,
        "jti": str(uuid.uuid4()),
        "access_token": access.value,
        "token_type": "Bearer",
        "refresh_token": refresh_token,
        "expires_in": ttl,
        "refresh_token_expires_in": state.settings.refresh_ttl_s,
    }


def _signer(state: State, request: Request, *, needs_token: bool) -> str | None:
    """Return the OAuth1 token (or else consumer key) that signed; None if that is wrong."""
    endpoint = SignatureOnlyEndpoint(_Validator(state))
    body = request.body.decode("utf-8", "replace")
    headers = {
        "Authorization": request.headers.get("authorization", ""),
        "Content-Type": request.headers.get("content-type", ""),
    }
    try:
        valid, signed = endpoint.validate_request(request.url, request.method, body, headers)
    except ValueError:
        # Raised by oauthlib for a header or body that it cannot parse.
        return None
    if not valid:
        return None
    key = signed.resource_owner_key
    if needs_token:
        return key if key in state.tokens.oauth1 else None
    return CONSUMER_KEY if not key else None


def _unauthorized(message: str) -> Response:
    return json_response(401, {"error": message}, ("WWW-Authenticate", "OAuth"))


class _Validator(RequestValidator):  # type: ignore[misc]
    """Give oauthlib the secrets, and check nonces."""

    client_key_length = 10, 60
    nonce_length = 6, 60
    dummy_client = "dummy"
    allowed_signature_methods = ("HMAC-SHA1",)

    def __init__(self, state: State) -> None:
        super().__init__()
        self._tokens = state.tokens

    @property
    def safe_characters(self) -> set[str]:
        return {*super().safe_characters, "-"}

    def validate_client_key(self, client_key: str, request: object) -> bool:
        return client_key == CONSUMER_KEY

    def get_client_secret(self, client_key: str, request: object) -> str:
        return CONSUMER_SECRET

    def get_access_token_secret(self, client_key: str, token: str, request: object) -> str:
        known = self._tokens.oauth1.get(token)
        return known.secret if known else secrets.token_hex()

    def validate_timestamp_and_nonce(
        self, client_key: str, timestamp: str, nonce: str, request: object, **tokens: str | None
    ) -> bool:
        fresh = (timestamp, nonce) not in self._tokens.nonces
        self._tokens.nonces.add((timestamp, nonce))
        return fresh
