"""garminconnect's exchange: a ticket for DI tokens, and their rotating refresh tokens."""

import base64
import uuid
from dataclasses import replace

from dev.simulator.accounts import Account
from dev.simulator.counters import Count
from dev.simulator.messages import Request, Response, json_response
from dev.simulator.oauth1 import SCOPE
from dev.simulator.refreshes import lost_or, refused_refresh
from dev.simulator.state import State
from dev.simulator.tokens import RefreshToken

TICKET_GRANT = "https://connectapi.garmin.com/di-oauth2-service/oauth/grant/service_ticket"
CLIENT_PREFIXES = ("GARMIN_CONNECT_MOBILE_ANDROID_DI", "GARMIN_CONNECT_MOBILE_IOS_DI")


def token(state: State, request: Request) -> Response:
    """`POST /di-oauth2-service/oauth/token`."""
    client_id = request.form.get("client_id", "")
    if not client_id.startswith(CLIENT_PREFIXES) or not _has_basic_auth(request, client_id):
        return _failure(401, "invalid_client", "Bad client credentials")
    match request.form.get("grant_type"):
        case grant if grant == TICKET_GRANT:
            return _exchange(state, request, client_id)
        case "refresh_token":
            return _refresh(state, request, client_id)
        case _:
            return _failure(400, "unsupported_grant_type", "Unsupported grant type")


def is_refresh(request: Request) -> bool:
    return request.form.get("grant_type") == "refresh_token"


def _exchange(state: State, request: Request, client_id: str) -> Response:
    ticket = state.tokens.find_ticket(
        request.form.get("service_ticket", ""),
        request.form.get("service_url", ""),
        request.domain,
        state.now(),
    )
    if ticket is None or ticket.account.di_refused:
        return _failure(400, "invalid_grant", "Invalid service ticket")
    state.redeem(ticket)
    state.count("di_exchanges", ticket.account, ticket.client)
    return _issue(state, ticket.account, ticket.client, client_id)[0]


def _refresh(state: State, request: Request, client_id: str) -> Response:
    token = state.tokens.refresh.get(request.form.get("refresh_token", ""))
    dead = _failure(400, "invalid_grant", "Invalid refresh token")
    if token is None or token.di_client != client_id or token.account.domain != request.domain:
        return dead
    if refusal := refused_refresh(token.account, dead):
        return refusal
    if token.expires_at <= state.now() or not _may_be_used(state, token):
        return dead
    return lost_or(state, token.account, _rotate(state, token))


def _may_be_used(state: State, token: RefreshToken) -> bool:
    """Whether a refresh token works: once, or while the grace lasts. Counts further uses."""
    if token.used_at is None:
        return True
    repetition: Count = "di_refreshes_reused" if token.delivered else "di_refreshes_repeated"
    state.count(repetition, token.account, token.client)
    successor = state.tokens.refresh.get(token.successor)
    in_time = state.now() < token.used_at + state.settings.refresh_grace_s
    return in_time and successor is not None and successor.used_at is None


def _rotate(state: State, token: RefreshToken) -> Response:
    """Replace a refresh token; what an earlier use of it was answered no longer works."""
    state.count("di_refreshes", token.account, token.client)
    response, successor = _issue(state, token.account, token.client, token.di_client)
    state.tokens.refresh.pop(token.successor, None)
    token.used_at = state.now() if token.used_at is None else token.used_at
    token.successor = successor.value
    return replace(response, on_delivered=token.confirm_delivery)


def _issue(
    state: State, account: Account, client: str, client_id: str
) -> tuple[Response, RefreshToken]:
    ttl, now = state.access_ttl(), state.now()
    access = state.tokens.new_jwt(
        "di",
        account,
        client,
        now,
        now + ttl,
        scope=SCOPE.split(),
        iss=f"https://diauth.{account.domain}",
        client_id=client_id,
        grant_type="service_ticket",
    )
    refresh_ttl = state.settings.refresh_ttl_s
    refresh = state.tokens.new_refresh(account, client, client_id, now + refresh_ttl)
    state.issued.record("access_token", access.value)
    state.issued.record("refresh_token", refresh.value)
    value = {
        "access_token": access.value,
        "token_type": "Bearer",
        "refresh_token": refresh.value,
        "expires_in": ttl,
        "scope": SCOPE,
        "jti": str(uuid.uuid4()),
        "refresh_token_expires_in": refresh_ttl,
    }
    return json_response(200, value, ("Cache-Control", "no-store")), refresh


def _has_basic_auth(request: Request, client_id: str) -> bool:
    expected = base64.b64encode(f"{client_id}:".encode()).decode()
    return request.headers.get("authorization", "") == f"Basic {expected}"


def _failure(status: int, error: str, description: str) -> Response:
    return json_response(status, {"error": error, "error_description": description})
