"""Garmin access tokens, for apps and for the person."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.contract.operations import Endpoint
from api.contract.requests import TokenRequest
from api.contract.responses import TokenRefreshing, TokenResponse, TokenUser
from api.http.bodies import bearer_token, read_optional_json, wait_seconds
from api.http.callers import person
from api.routes.connections import connected_user_id
from api.services import services
from shared.accounts.clients import ClientRepository, Scope
from shared.accounts.sessions import SessionRepository
from shared.broker.errors import RefreshFailedError
from shared.broker.tokens import Connection, Wanted, check, is_fresh, is_usable
from shared.errors import FitTrackError, ScopeMissingError
from shared.garmin.access import access_token, api_base
from shared.origin import Origin

_SHORTEST_RETRY = 5
_READ_AGAIN = 35.0
"""Seconds for which a request waits for its turn at the database once a refresh has ended."""


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
    key = request.headers.get("x-client-key", "")
    requests = services(request).token_requests
    found = await requests.read(key, user_id, origin, wanted, wait)
    if found.is_recorded:
        services(request).metrics.count_token("fresh")
        return _token(found.connection)

    async def reread() -> Connection:
        _, connection = await requests.find(key, user_id, origin, _READ_AGAIN)
        return connection

    return await _answer(request, found.origin, found.connection, wanted, wait, reread)


@_errors_counted
async def session_token(request: Request) -> Response:
    """Answer a person who asks for their own token.

    An app has the sessions that it opens: they get it no more than its key does.
    """
    token, origin = bearer_token(request), person(request)
    wanted, wait = await _wanted(request)
    if not services(request).session_tokens:
        raise ScopeMissingError
    broker, idle = services(request).broker, services(request).session_idle

    def read(session: Session) -> Connection:
        view = SessionRepository(session, idle).find(token)
        if view.client_id is not None:
            ClientRepository(session).with_id(view.client_id).check(Scope.TOKENS)
        return broker.of_user(session, view.user_id)

    database = services(request).database
    connection = await database.run(read, wait)
    return await _answer(
        request, origin, connection, wanted, wait, lambda: database.run(read, _READ_AGAIN)
    )


async def _wanted(request: Request) -> tuple[Wanted, int]:
    wait = wait_seconds(request)
    body = await read_optional_json(request, TokenRequest)
    return Wanted(body.min_valid_for, body.rejected), wait


async def _answer(
    request: Request,
    origin: Origin,
    connection: Connection,
    wanted: Wanted,
    wait: int,
    reread: Callable[[], Awaitable[Connection]],
) -> Response:
    """Answer with a token, refreshed if need be, if who asks may still have it after that.

    Raises UnauthorizedError, UnknownClientError, ScopeMissingError, LinkNotFoundError,
    SignInRequiredError, RefreshFailedError, ServiceUnavailableError.
    """
    check(connection)
    if is_fresh(connection, wanted):
        return await _recorded(request, origin, connection, "fresh")
    refreshes, failure = services(request).token_refreshes, None
    try:
        if not await refreshes.ended(connection.stored, wait):
            return _refreshing(request)
    except RefreshFailedError as error:
        failure = error
    connection = await reread()
    check(connection)
    if is_usable(connection, wanted):
        result = "stale" if failure else "refreshed"
        return await _recorded(request, origin, connection, result)
    if failure is None:
        wait = await refreshes.retry_after(connection.stored)
        failure = RefreshFailedError(wait or _SHORTEST_RETRY)
    raise failure


async def _recorded(
    request: Request, origin: Origin, connection: Connection, result: str
) -> Response:
    await services(request).token_requests.record(origin, connection)
    services(request).metrics.count_token(result)
    return _token(connection)


def _token(connection: Connection) -> Response:
    stored = connection.stored
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


def _refreshing(request: Request) -> Response:
    services(request).metrics.count_token("refreshing")
    body = TokenRefreshing().model_dump_json()
    return Response(
        body, status_code=202, headers={"Retry-After": "1"}, media_type="application/json"
    )
