"""Garmin access tokens, for apps and for the person."""

from datetime import UTC, datetime
from functools import wraps

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.operations import Endpoint
from api.contract.requests import TokenRequest
from api.contract.responses import TokenRefreshing, TokenResponse, TokenUser
from api.http.bodies import bearer_token, read_optional_json, wait_seconds
from api.http.callers import person
from api.routes.connections import connected_user_id
from api.services import services
from shared.accounts.clients import ClientView, Scope
from shared.accounts.sessions import SessionRepository
from shared.audit.events import Event, EventKind
from shared.broker.errors import RefreshFailedError
from shared.broker.tokens import Connection, Wanted, check, is_fresh, is_usable
from shared.errors import FitTrackError, ScopeMissingError
from shared.garmin.access import access_token, api_base
from shared.origin import Origin
from shared.redis.rate_limits import RateLimitedError

_EVENT_SECONDS = 60
_SHORTEST_RETRY = 5


def _errors_counted(endpoint: Endpoint) -> Endpoint:
    @wraps(endpoint)
    async def counted(request: Request) -> Response:
        try:
            return await endpoint(request)
        except FitTrackError as error:
            services(request).metrics.count_token(error.code)
            raise

    return counted


@_errors_counted
async def client_token(request: Request) -> Response:
    """Answer an app that asks for the token of one of its connections."""
    origin, user_id = person(request), connected_user_id(request)
    wanted, wait = await _wanted(request)
    broker = services(request).broker

    def read(session: Session, client: ClientView) -> tuple[Origin, Connection]:
        client.check(Scope.TOKENS)
        of_client = {"client_id": client.client_id, "client_user_id": user_id}
        connection = broker.of_client(session, client.client_id, user_id)
        return origin.model_copy(update=of_client), connection

    key, address = request.headers.get("x-client-key", ""), origin.address or ""
    origin, connection = await services(request).client_keys.run(key, address, read, wait)
    await run_in_threadpool(_count, request, origin)
    return await _answer(request, origin, connection, wanted, wait)


@_errors_counted
async def session_token(request: Request) -> Response:
    """Answer a person who asks for their own token."""
    token, origin = bearer_token(request), person(request)
    wanted, wait = await _wanted(request)
    if not services(request).session_tokens:
        raise ScopeMissingError
    broker, idle = services(request).broker, services(request).session_idle

    def read(session: Session) -> Connection:
        view = SessionRepository(session, idle).find(token)
        return broker.of_user(session, view.user_id)

    connection = await services(request).database.run(read, wait)
    return await _answer(request, origin, connection, wanted, wait)


async def _wanted(request: Request) -> tuple[Wanted, int]:
    wait = wait_seconds(request)
    body = await read_optional_json(request, TokenRequest)
    return Wanted(body.min_valid_for, body.rejected), wait


async def _answer(
    request: Request, origin: Origin, connection: Connection, wanted: Wanted, wait: int
) -> Response:
    """Answer with a token, refreshed if need be.

    Raises SignInRequiredError, RefreshFailedError, ServiceUnavailableError, LinkNotFoundError.
    """
    check(connection)
    if is_fresh(connection, wanted):
        return await _token(request, origin, connection, "fresh")
    refreshes = services(request).token_refreshes
    try:
        renewed = await refreshes.renewed(connection.stored, wait)
    except RefreshFailedError:
        if not is_usable(connection, wanted):
            raise
        return await _token(request, origin, connection, "stale")
    if renewed is None:
        return _refreshing(request)
    check(renewed)
    if is_usable(renewed, wanted):
        return await _token(request, origin, renewed, "refreshed")
    raise RefreshFailedError(await refreshes.retry_after(renewed.stored) or _SHORTEST_RETRY)


async def _token(request: Request, origin: Origin, connection: Connection, result: str) -> Response:
    stored = connection.stored
    await run_in_threadpool(_record, request, origin, connection)
    services(request).metrics.count_token(result)
    expires_at = stored.tokens.access_expires_at
    body = TokenResponse(
        access_token=access_token(stored.tokens).get_secret_value(),
        expires_at=expires_at,
        expires_in=max(0, int((expires_at - datetime.now(UTC)).total_seconds())),
        api_base=api_base(stored.tokens),
        access=stored.access,
        domain=stored.tokens.domain,
        method=stored.method,
        user=TokenUser(
            id=str(stored.user_id),
            display_name=connection.display_name,
            garmin_display_name=connection.garmin_display_name,
        ),
    )
    return Response(body.model_dump_json(), media_type="application/json")


def _count(request: Request, origin: Origin) -> None:
    """Raise RateLimitedError if the app asks too often; record that once a minute."""
    who = str(origin.client_id)
    try:
        services(request).token_limit.hit(who)
    except RateLimitedError as refusal:
        limit = refusal.standing.limit
        event = Event.of(EventKind.RATE_LIMITED, origin, limit)
        services(request).events.add_once(event, f"{limit}:{who}", _EVENT_SECONDS)
        raise


def _record(request: Request, origin: Origin, connection: Connection) -> None:
    """Record who got a token: repeated ones within a minute are one event with a count."""
    user_id = connection.stored.user_id
    event = Event.of(EventKind.TOKENS_READ, origin, "1", user_id=user_id)
    name = f"{origin.client_id or 'session'}:{connection.stored.id}"
    services(request).events.add_counted(event, name, _EVENT_SECONDS)


def _refreshing(request: Request) -> Response:
    services(request).metrics.count_token("refreshing")
    body = TokenRefreshing().model_dump_json()
    return Response(
        body, status_code=202, headers={"Retry-After": "1"}, media_type="application/json"
    )
