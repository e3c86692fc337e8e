"""`/connect`: the page on which people connect Garmin, and `/connect.js` for pages that embed it.

The token of its session is in the fragment, which never reaches the server. A page that may be
embedded is told by its query which session it is: only so its headers can name the one origin that
may embed it.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.connect.languages import LANGUAGES, accepted, choose, translations
from api.contract.requests import JOB_ID
from api.services import services
from shared.connect.errors import ConnectSessionNotFoundError
from shared.connect.session import ConnectSession

if TYPE_CHECKING:
    from markupsafe import Markup
    from starlette.templating import Jinja2Templates

_FOLDER = Path(__file__).parent
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css"}
_FILLED_IN = {
    "time": "data-time=time",
    "code_time": "data-time=code_time",
    "resend_time": "data-time=resend_time",
    "destination": "data-destination",
    "attempts": "data-attempts",
    "user": "data-user",
}
"""What the page's script fills in, by the template's name for it."""


async def page(request: Request) -> Response:
    session = await _session(request)
    wanted = [request.query_params.get("lang", "")]
    if session is not None and session.wish.locale is not None:
        wanted.append(session.wish.locale)
    wanted += accepted(request.headers.get("accept-language", ""))
    ancestors = session.wish.embed_origin if session is not None else None
    headers = {
        "Content-Security-Policy": _POLICY.format(ancestors=ancestors or "'none'"),
        "Vary": "Accept-Language",
    }
    language = choose(*filter(None, wanted))
    headers["Content-Language"] = language
    templates = _templates(language)
    return templates.TemplateResponse(
        request, "connect.html", {"language": language, **_places()}, headers=headers
    )


async def _session(request: Request) -> ConnectSession | None:
    """Return the session that the query names: its id is public."""
    name = request.query_params.get("session", "")
    if not JOB_ID.fits(name):
        return None
    try:
        kept = await run_in_threadpool(services(request).connect_sessions.read, name)
    except ConnectSessionNotFoundError:
        return None
    return kept.session


async def static(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    return Response(_text(name), media_type=_MEDIA_TYPES[Path(name).suffix])


_FILES = ("page.css", "page.js", "api.js", "parent.js", "token.js", "view.js")

ROUTES = [
    Route("/connect", page),
    Route("/connect.js", static),
    *(Route(f"/connect/{name}", static) for name in _FILES),
]


@cache
def _text(name: str) -> str:
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


@cache
def _templates(language: str) -> "Jinja2Templates":
    """Return the page in a language. Jinja, 2 MB, is loaded for the first person who sees it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from starlette.templating import Jinja2Templates

    assert language in LANGUAGES  # noqa: S101 - at most one environment each
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined] # by the extension
        translations(language), newstyle=True
    )
    return Jinja2Templates(env=environment)


@cache
def _places() -> "dict[str, Markup]":
    from markupsafe import Markup

    return {
        name: Markup(f"<bdi {attribute}></bdi>")  # noqa: S704 - fixed texts
        for name, attribute in _FILLED_IN.items()
    }
