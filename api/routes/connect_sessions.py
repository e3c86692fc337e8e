"""Connect sessions, as the app sees them: create one, and see how far it has come."""

from datetime import UTC, datetime

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.connect_flow import app_of, settle
from api.contract.connect import (
    ConnectSessionCreated,
    ConnectSessionError,
    ConnectSessionRequest,
    ConnectSessionResponse,
    ConnectSessionUser,
)
from api.contract.problems import FieldFault
from api.contract.requests import JOB_ID
from api.http.bodies import read_json
from api.http.callers import app, person
from api.http.errors import InvalidRequestError
from api.services import services
from api.sign_ins import count_connect_session
from shared.accounts.appearance import origin_of
from shared.accounts.clients import ClientView, Scope
from shared.connect.errors import ConnectSessionNotFoundError
from shared.connect.session import AppShown, ConnectError, ConnectMethod, ConnectSession, Wish
from shared.garmin.types import GarminDomain

_BY_DEFAULT = (ConnectMethod.PASSWORD, ConnectMethod.PERSONAL_API_KEY)
_NOT_IN_CHINA = ConnectMethod.PERSONAL_API_KEY


async def create_session(request: Request) -> Response:
    """Create a session; answer with the address to send the person to."""
    origin = person(request)

    def find(_: Session, client: ClientView) -> ClientView:
        client.check(Scope.SIGN_IN)
        return client

    key, address = request.headers.get("x-client-key", ""), origin.address or ""
    client = await services(request).client_keys.run(key, address, find)
    body = await read_json(request, ConnectSessionRequest)
    wish = _wish(body, client)
    origin = origin.model_copy(update={"client_id": client.client_id})
    await run_in_threadpool(count_connect_session, services(request), origin)
    shown = AppShown.of(client.client_id, client.name, client.appearance)
    kept, token = await run_in_threadpool(services(request).connect_sessions.create, shown, wish)
    created = ConnectSessionCreated(
        id=kept.session.id,
        url=_page_url(request, kept.session) + f"#{token.get_secret_value()}",
        expires_at=_time(kept.session.expires_at),
    )
    return Response(created.model_dump_json(), status_code=201, media_type="application/json")


async def get_session(request: Request) -> Response:
    origin = await app(request, Scope.SIGN_IN)
    name: str = request.path_params["session_id"]
    if not JOB_ID.fits(name):
        raise ConnectSessionNotFoundError
    kept = await run_in_threadpool(services(request).connect_sessions.read, name)
    kept = (await settle(request, app_of(kept, origin.client_id))).kept
    session = kept.session
    user = session.user
    body = ConnectSessionResponse(
        id=session.id,
        user_id=session.wish.user_id,
        status=session.status(kept.now),
        expires_at=_time(session.expires_at),
        user=user and ConnectSessionUser(id=user.id, display_name=user.display_name),
        error=session.error and _error(session.error, kept.now),
    )
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")


def _wish(body: ConnectSessionRequest, client: ClientView) -> Wish:
    """Raise InvalidRequestError."""
    origins = client.appearance.origins
    embed_origin = None if body.embed_origin is None else origin_of(body.embed_origin)
    if body.embed_origin is not None and embed_origin not in origins:
        raise _invalid("embed_origin", "must be an origin that is registered with the app")
    if body.return_url is not None and origin_of(body.return_url) not in origins:
        raise _invalid("return_url", "must be of an origin that is registered with the app")
    methods = body.methods or _BY_DEFAULT
    if body.domain is GarminDomain.CN:
        methods = tuple(method for method in methods if method is not _NOT_IN_CHINA)
    if not methods:
        raise _invalid("methods", "none of them works with accounts of this domain")
    return Wish(
        user_id=body.user_id,
        return_url=body.return_url,
        embed_origin=embed_origin,
        domain=body.domain,
        locale=body.locale,
        methods=methods,
    )


def _invalid(field: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(FieldFault(loc=["body", field], message=message))


def _page_url(request: Request, session: ConnectSession) -> str:
    """The page's headers have to name who may embed it: only then it is told which session it is.

    The token is in the fragment, which no server sees.
    """
    base = services(request).public_url or str(request.base_url).rstrip("/")
    query = "" if session.wish.embed_origin is None else f"?session={session.id}"
    return f"{base}/connect{query}"


def _error(error: ConnectError, now: int) -> ConnectSessionError:
    return ConnectSessionError(
        code=error.code, message=error.message, retry_after=seconds_until(error.until, now)
    )


def seconds_until(moment: int | None, now: int) -> int | None:
    return None if moment is None else max(0, -(-(moment - now) // 1000))


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).replace(microsecond=0)
