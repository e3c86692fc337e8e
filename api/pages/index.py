"""`/`: a page that says what this service is, or the same as JSON."""

from functools import cache
from importlib.metadata import version
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)
_FOLDER = Path(__file__).parent


async def index(request: Request) -> Response:
    """HTML, unless the client accepts JSON and not HTML."""
    accept = request.headers.get("accept", "")
    if "application/json" in accept and "text/html" not in accept:
        links = {"documentation": "/docs", "openapi": "/openapi.json"}
        about = {"name": "FitTrack Auth", "version": version("fittrack-auth")}
        return JSONResponse(about | links, headers={"Vary": "Accept"})
    headers = {"Content-Security-Policy": _POLICY, "Vary": "Accept"}
    return Response(_page(), headers=headers, media_type="text/html")


async def style(_: Request) -> Response:
    return Response(_text("index.css"), media_type="text/css")


ROUTES = [Route("/", index), Route("/index.css", style)]


@cache
def _page() -> str:
    return _text("index.html").replace("{version}", version("fittrack-auth"))


@cache
def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
