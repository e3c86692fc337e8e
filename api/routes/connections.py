"""The Garmin accounts that an app has linked to ids of its own."""

import base64
import binascii
import uuid

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.contract.problems import FieldFault
from api.contract.requests import CURSOR, DEFAULT_PAGE, MAX_PAGE, USER_ID
from api.contract.responses import ClientLinkResponse, ConnectionsResponse
from api.http.bodies import whole_number
from api.http.callers import app
from api.http.errors import InvalidRequestError
from api.services import services
from shared.accounts.clients import Scope
from shared.accounts.connections import (
    ConnectionKey,
    ConnectionPage,
    ConnectionRepository,
    ConnectionView,
)
from shared.accounts.states import ConnectionState
from shared.errors import LinkNotFoundError

_CURSOR_VERSION = "1"


async def list_links(request: Request) -> Response:
    """Answer with a page of the app's connections."""
    origin = await app(request, Scope.CONNECTIONS)
    client_id = origin.client_id
    assert client_id is not None  # noqa: S101 - set by `app`
    state, limit = _state(request), whole_number(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
    after = _after(request, client_id)

    def work(session: Session) -> ConnectionPage:
        return ConnectionRepository(session).page(limit, after, client_id, state)

    page = await services(request).database.run(work)
    body = ConnectionsResponse(
        connections=[ClientLinkResponse.of(view) for view in page.connections],
        next_cursor=page.next_after and _cursor(page.next_after),
    )
    return Response(body.model_dump_json(), media_type="application/json")


async def get_link(request: Request) -> Response:
    origin, user_id = await app(request, Scope.CONNECTIONS), connected_user_id(request)

    def work(session: Session) -> ConnectionView:
        assert origin.client_id is not None  # noqa: S101 - set by `app`
        return ConnectionRepository(session).view(origin.client_id, user_id)

    view = await services(request).database.run(work)
    body = ClientLinkResponse.of(view)
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


def _state(request: Request) -> ConnectionState | None:
    value = request.query_params.get("state")
    if value is None:
        return None
    if value not in ConnectionState:
        raise _invalid("state", f"must be one of {', '.join(ConnectionState)}")
    return ConnectionState(value)


def _cursor(key: ConnectionKey) -> str:
    _, user_id = key
    text = f"{_CURSOR_VERSION}{user_id}".encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _after(request: Request, client_id: uuid.UUID) -> ConnectionKey | None:
    """Return what the cursor says. Raises InvalidRequestError for one that was not given out."""
    value = request.query_params.get("cursor")
    if value is None:
        return None
    key = client_id, _user_id_of(value)
    if not USER_ID.fits(key[1]) or _cursor(key) != value:
        raise _invalid("cursor", CURSOR.message)
    return key


def _user_id_of(cursor: str) -> str:
    """Return the user id in a cursor; an empty one, which no user has, if there is none."""
    if not CURSOR.fits(cursor):
        return ""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text.removeprefix(_CURSOR_VERSION) if text.startswith(_CURSOR_VERSION) else ""


def _invalid(name: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(FieldFault(loc=["query", name], message=message))
