"""`/`: a page that says what this service is, or the same as JSON."""

from functools import cache
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.pages.files import text

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)


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
    return Response(text("index.css"), media_type="text/css")


ROUTES = [Route("/", index), Route("/index.css", style)]


@cache
def _page() -> str:
    return text("index.html").replace("{version}", version("fittrack-auth"))
