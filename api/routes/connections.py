"""What an app may see and do about the Garmin accounts that it has linked."""

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.models import USER_ID, ClientLinkResponse, GarminLinkResponse, JobUser
from api.http.callers import app
from api.services import services
from shared.accounts.connections import ConnectionRepository, ConnectionView
from shared.errors import LinkNotFoundError


async def link(request: Request) -> Response:
    """One route for both, so that `Allow` names both."""
    return await (delete_link if request.method == "DELETE" else get_link)(request)


async def get_link(request: Request) -> Response:
    origin, user_id = await app(request), _user_id(request)

    def work(session: Session) -> ConnectionView:
        assert origin.client_id is not None  # noqa: S101 - as `app` has found it
        return ConnectionRepository(session).view(origin.client_id, user_id)

    view = await run_in_threadpool(services(request).database.run, work)
    body = ClientLinkResponse(
        user_id=user_id,
        user=JobUser(id=str(view.user_id), display_name=view.display_name),
        garmin=GarminLinkResponse.of(view.garmin),
    )
    return Response(body.model_dump_json(), media_type="application/json")


async def delete_link(request: Request) -> Response:
    """The link ends, and with the last link to a Garmin account its tokens and sessions."""
    origin, user_id, found = await app(request), _user_id(request), services(request)
    await run_in_threadpool(
        found.database.run,
        lambda session: found.accounts.unlink_client_user(session, user_id, origin),
    )
    return Response(status_code=204)


def _user_id(request: Request) -> str:
    """Raises LinkNotFoundError for what can't be anybody's id, as for an unknown one."""
    user_id: str = request.path_params["user_id"]
    if not USER_ID.fits(user_id):
        raise LinkNotFoundError
    return user_id
