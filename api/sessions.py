"""Who am I, and logging out."""

from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import bearer_token
from api.models import GarminLinkResponse, JobUser, SessionResponse
from api.services import services
from shared.garmin import GarminDomain
from shared.sessions import GarminLink, SessionRepository


async def session(request: Request) -> Response:
    """One route for both, so that `Allow` names both."""
    return await (delete_session if request.method == "DELETE" else get_session)(request)


async def get_session(request: Request) -> Response:
    view = await _in_transaction(request, lambda sessions, token: sessions.find(token))
    body = SessionResponse(
        session_id=str(view.session_id),
        user=JobUser(id=str(view.user_id), display_name=view.display_name),
        created_at=view.created_at,
        expires_at=view.expires_at,
        garmin=_link(view.garmin),
    )
    return Response(body.model_dump_json(), media_type="application/json")


async def delete_session(request: Request) -> Response:
    """Logs this session out."""
    await _in_transaction(
        request, lambda sessions, token: sessions.end(sessions.find(token).session_id)
    )
    return Response(status_code=204)


async def delete_sessions(request: Request) -> Response:
    """Logs the person out everywhere."""
    await _in_transaction(
        request, lambda sessions, token: sessions.end_all(sessions.find(token).user_id)
    )
    return Response(status_code=204)


async def _in_transaction[T](request: Request, work: Callable[[SessionRepository, str], T]) -> T:
    token = bearer_token(request)

    def run(session: Session) -> T:
        return work(SessionRepository(session), token)

    return await run_in_threadpool(services(request).database.run, run)


def _link(link: GarminLink | None) -> GarminLinkResponse:
    if link is None:
        return GarminLinkResponse(linked=False)
    return GarminLinkResponse(
        linked=True,
        domain=GarminDomain(link.domain),
        driver=link.driver,
        access_token_expires_at=link.access_expires_at,
        refreshable_until=link.refresh_expires_at,
    )
