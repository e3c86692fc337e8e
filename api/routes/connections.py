"""The Garmin accounts that an app has linked to ids of its own."""

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.contract.requests import USER_ID
from api.contract.responses import ClientLinkResponse, GarminLinkResponse, JobUser
from api.http.callers import app
from api.services import services
from shared.accounts.clients import Scope
from shared.accounts.connections import ConnectionRepository, ConnectionView
from shared.errors import LinkNotFoundError


async def get_link(request: Request) -> Response:
    origin, user_id = await app(request, Scope.CONNECTIONS), connected_user_id(request)

    def work(session: Session) -> ConnectionView:
        assert origin.client_id is not None  # noqa: S101 - set by `app`
        return ConnectionRepository(session).view(origin.client_id, user_id)

    view = await services(request).database.run(work)
    body = ClientLinkResponse(
        user_id=user_id,
        user=JobUser(id=str(view.user_id), display_name=view.display_name),
        garmin=GarminLinkResponse.of(view.garmin),
    )
    return Response(body.model_dump_json(), media_type="application/json")


async def delete_link(request: Request) -> Response:
    """Remove the link, the app's sessions, and tokens that nobody else uses."""
    origin, user_id = await app(request, Scope.CONNECTIONS), connected_user_id(request)
    accounts, database = services(request).accounts, services(request).database
    await database.run(lambda session: accounts.unlink_client_user(session, user_id, origin))
    return Response(status_code=204)


def connected_user_id(request: Request) -> str:
    """Raise LinkNotFoundError for an id that can't exist, as for an unknown one."""
    user_id: str = request.path_params["user_id"]
    if not USER_ID.fits(user_id):
        raise LinkNotFoundError
    return user_id
