"""garminconnect's exchange: a ticket for DI tokens, and their rotating refresh tokens."""

import base64
import uuid

from dev.simulator.accounts import Account
from dev.simulator.messages import Request, Response, json_response
from dev.simulator.oauth1 import SCOPE
from dev.simulator.state import State

TICKET_GRANT = "https://connectapi.garmin.com/di-oauth2-service/oauth/grant/service_ticket"
CLIENT_PREFIXES = ("GARMIN_CONNECT_MOBILE_ANDROID_DI", "GARMIN_CONNECT_MOBILE_IOS_DI")
REFRESH_TTL_S = 2591999


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
    return _tokens(state, ticket.account, ticket.client, client_id)


def _refresh(state: State, request: Request, client_id: str) -> Response:
    known = state.tokens.refresh.get(request.form.get("refresh_token", ""))
    if known is None or known.di_client != client_id or known.account.domain != request.domain:
        return _failure(400, "invalid_grant", "Invalid refresh token")
    del state.tokens.refresh[known.value]
    state.count("di_refreshes", known.account, known.client)
    return _tokens(state, known.account, known.client, client_id)


def _tokens(state: State, account: Account, client: str, client_id: str) -> Response:
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
    refresh = state.tokens.new_refresh(account, client, client_id)
    state.issued.record("access_token", access.value)
    state.issued.record("refresh_token", refresh.value)
    value = {
        "access_token": access.value,
        "token_type": "Bearer",
        "refresh_token": refresh.value,
        "expires_in": ttl,
        "scope": SCOPE,
        "jti": str(uuid.uuid4()),
        "refresh_token_expires_in": REFRESH_TTL_S,
    }
    return json_response(200, value, ("Cache-Control", "no-store"))


def _has_basic_auth(request: Request, client_id: str) -> bool:
    expected = base64.b64encode(f"{client_id}:".encode()).decode()
    return request.headers.get("authorization", "") == f"Basic {expected}"


def _failure(status: int, error: str, description: str) -> Response:
    return json_response(status, {"error": error, "error_description": description})
