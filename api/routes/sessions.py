"""A person's sessions: see one, log out, disconnect Garmin."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.contract.responses import GarminLinkResponse, JobUser, SessionResponse
from api.http.bodies import bearer_token
from api.http.callers import person
from api.services import services
from shared.accounts.sessions import SessionRepository, SessionView
from shared.origin import Origin


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
    """End this session."""
    await _in_transaction(
        request, lambda call: call.sessions.end(call.view.session_id, call.origin)
    )
    return Response(status_code=204)


async def delete_sessions(request: Request) -> Response:
    """End every session of the person, and every sign-in that goes on."""
    accounts = services(request).accounts
    await _in_transaction(
        request,
        lambda call: accounts.log_out_everywhere(call.session, call.view.user_id, call.origin),
    )
    return Response(status_code=204)


async def delete_tokens(request: Request) -> Response:
    """Delete the person's Garmin tokens and end every session."""
    accounts = services(request).accounts
    await _in_transaction(
        request, lambda call: accounts.unlink_user(call.session, call.view.user_id, call.origin)
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
    """Raise UnauthorizedError, ServiceUnavailableError."""
    token, origin = bearer_token(request), person(request)
    idle, database = services(request).session_idle, services(request).database

    def run(session: Session) -> T:
        sessions = SessionRepository(session, idle)
        return work(_Call(session, sessions, sessions.find(token), origin))

    return await database.run(run)
