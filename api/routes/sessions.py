"""Who am I, logging out, and unlinking."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.models import GarminLinkResponse, JobUser, SessionResponse
from api.http.bodies import bearer_token
from api.http.callers import person
from api.services import services
from shared.accounts.sessions import SessionRepository, SessionView
from shared.origin import Origin


async def session(request: Request) -> Response:
    """One route for both, so that `Allow` names both."""
    return await (delete_session if request.method == "DELETE" else get_session)(request)


async def get_session(request: Request) -> Response:
    view = await _in_transaction(request, lambda call: call.view)
    body = SessionResponse(
        session_id=str(view.session_id),
        user=JobUser(id=str(view.user_id), display_name=view.display_name),
        created_at=view.created_at,
        expires_at=view.expires_at,
        garmin=GarminLinkResponse.of(view.garmin),
    )
    return Response(body.model_dump_json(), media_type="application/json")


async def delete_session(request: Request) -> Response:
    """Logs this session out."""
    await _in_transaction(
        request, lambda call: call.sessions.end(call.view.session_id, call.origin)
    )
    return Response(status_code=204)


async def delete_sessions(request: Request) -> Response:
    """Logs the person out everywhere."""
    await _in_transaction(
        request, lambda call: call.sessions.end_all(call.view.user_id, call.origin)
    )
    return Response(status_code=204)


async def delete_tokens(request: Request) -> Response:
    """Unlinks Garmin: the tokens are gone, and every session ends."""
    accounts = services(request).accounts
    await _in_transaction(
        request, lambda call: accounts.unlink_person(call.session, call.view.user_id, call.origin)
    )
    return Response(status_code=204)


@dataclass(frozen=True)
class _Call:
    """A request with a valid access token, within a transaction."""

    session: Session
    sessions: SessionRepository
    view: SessionView
    origin: Origin


async def _in_transaction[T](request: Request, work: Callable[[_Call], T]) -> T:
    """Raises UnauthorizedError, ServiceUnavailableError."""
    token, origin, found = bearer_token(request), person(request), services(request)

    def run(session: Session) -> T:
        sessions = SessionRepository(session, found.session_idle)
        return work(_Call(session, sessions, sessions.find(token), origin))

    return await run_in_threadpool(found.database.run, run)
