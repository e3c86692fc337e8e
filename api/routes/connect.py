"""What the connect page uses: the person's side of a connect session."""

from starlette.requests import Request
from starlette.responses import Response

from api import connect_flow
from api.connect_flow import Progress
from api.contract.connect import (
    ConnectApp,
    ConnectCode,
    ConnectCodeRequest,
    ConnectImportRequest,
    ConnectPasswordRequest,
    ConnectProblem,
    ConnectState,
    ConnectStep,
    Shade,
)
from api.contract.problems import FieldFault
from api.http.bodies import read_json, seen_stage, wait_seconds
from api.http.errors import InvalidRequestError
from api.routes.connect_sessions import seconds_until
from api.services import services
from shared.accounts.accounts import NO_NAME
from shared.connect import colours
from shared.connect.session import AppShown, Code, ConnectedUser, ConnectMethod
from shared.connect.store import Kept
from shared.garmin.imports import ImportedKey
from shared.garmin.types import Credentials


async def get_state(request: Request) -> Response:
    """As a poll of a job: answer when something changes, after `wait` seconds at the latest."""
    wait, seen = wait_seconds(request), seen_stage(request)
    kept = await connect_flow.open_page(request, await connect_flow.session_of_page(request))
    return _response(request, await connect_flow.settle(request, kept, wait, seen))


async def submit_password(request: Request) -> Response:
    kept = await connect_flow.session_of_page(request)
    body = await read_json(request, ConnectPasswordRequest)
    _check_offered(kept, ConnectMethod.PASSWORD)
    domain = kept.session.wish.domain
    credentials = Credentials.model_validate(
        {"username": body.username, "password": body.password, "domain": domain}
    )
    return _response(request, await connect_flow.submit_password(request, credentials))


async def submit_import(request: Request) -> Response:
    kept = await connect_flow.session_of_page(request)
    given = (await read_json(request, ConnectImportRequest)).given
    is_key = isinstance(given, ImportedKey)
    _check_offered(kept, ConnectMethod.PERSONAL_API_KEY if is_key else ConnectMethod.IMPORT)
    return _response(request, await connect_flow.submit_brought(request, given))


async def submit_code(request: Request) -> Response:
    await connect_flow.session_of_page(request)
    body = await read_json(request, ConnectCodeRequest)
    return _response(request, await connect_flow.submit_one_time_code(request, body.code))


async def resend_code(request: Request) -> Response:
    return _response(request, await connect_flow.resend_code(request))


async def restart(request: Request) -> Response:
    """Go back to where the person chooses how to connect."""
    return _response(request, await connect_flow.restart(request))


async def cancel(request: Request) -> Response:
    return _response(request, await connect_flow.cancel(request))


def _check_offered(kept: Kept, method: ConnectMethod) -> None:
    """Raise InvalidRequestError if the app has not named this way to connect."""
    if method not in kept.session.wish.methods:
        fault = FieldFault(loc=["body"], message=f"the app does not offer {method}")
        raise InvalidRequestError(fault)


def _response(request: Request, progress: Progress) -> Response:
    resend_pause_ms = services(request).challenges.resend_pause_ms
    session, now, attempt = progress.session, progress.kept.now, progress.session.attempt
    error, wish = session.error, session.wish
    running = attempt is not None and progress.stage is not None
    body = ConnectState(
        id=session.id,
        status=session.status(now),
        app=_app(session.app),
        domain=wish.domain,
        methods=list(wish.methods),
        locale=wish.locale,
        return_url=wish.return_url,
        embed_origin=wish.embed_origin,
        expires_in=seconds_until(session.expires_at, now) or 0,
        step=ConnectStep(kind=attempt.kind, stage=progress.stage)
        if attempt and progress.stage
        else None,
        code=None if session.code is None else _code(session.code, now, resend_pause_ms),
        error=None
        if error is None or running
        else ConnectProblem(code=error.code, retry_after=seconds_until(error.until, now)),
        user=_name(session.user),
    )
    return Response(body.model_dump_json(), media_type="application/json")


def _name(user: ConnectedUser | None) -> str | None:
    return None if user is None or user.display_name == NO_NAME else user.display_name


def _app(app: AppShown) -> ConnectApp:
    light, dark = colours.shades(app.accent)
    return ConnectApp(
        name=app.display_name,
        light=Shade(accent=light.accent, on_accent=light.on_accent),
        dark=Shade(accent=dark.accent, on_accent=dark.on_accent),
    )


def _code(code: Code, now: int, resend_pause_ms: int) -> ConnectCode:
    resend_at = code.sent_at + resend_pause_ms if code.can_resend else None
    return ConnectCode(
        type=code.mfa_type,
        destination=code.mfa_destination,
        expires_in=seconds_until(code.expires_at, now) or 0,
        attempts_left=code.attempts_left,
        resend_in=seconds_until(resend_at, now),
    )
