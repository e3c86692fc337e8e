"""`/openapi.json`, and `/docs`: Swagger UI from the `offapi` package, with no outside host."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from api.contract.openapi import document
from api.pages.files import text
from api.routes.table import OPERATIONS

# Swagger UI writes style attributes and inlines its icons as data.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
_ASSETS = {
    "swagger-ui.css": ("swagger_style.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger_bundle.js", "text/javascript"),
}


async def openapi_json(_: Request) -> Response:
    return Response(_rendered(), media_type="application/json")


async def docs(_: Request) -> Response:
    headers = {"Content-Security-Policy": _PAGE_POLICY}
    return Response(text("docs.html"), headers=headers, media_type="text/html")


async def start_script(_: Request) -> Response:
    return Response(text("docs.js"), media_type="text/javascript")


async def style(_: Request) -> Response:
    return Response(text("docs.css"), media_type="text/css")


async def asset(request: Request) -> Response:
    file, media_type = _ASSETS[request.url.path.rpartition("/")[2]]
    headers = {"Cache-Control": "public, max-age=3600"}
    return FileResponse(_folder() / file, headers=headers, media_type=media_type)


ROUTES = [
    Route("/openapi.json", openapi_json),
    Route("/docs", docs),
    Route("/docs/start.js", start_script),
    Route("/docs/style.css", style),
    *(Route(f"/docs/{name}", asset) for name in _ASSETS),
]


@cache
def _rendered() -> str:
    return json.dumps(document(OPERATIONS))


@cache
def _folder() -> Path:
    # Found and not imported: importing it reads ten megabytes of templates we don't use.
    spec = find_spec("offapi")
    assert spec is not None, "a dependency of this package"  # noqa: S101 - for the type checker
    assert spec.submodule_search_locations is not None, "it is a package"  # noqa: S101 - for the type checker
    return Path(spec.submodule_search_locations[0])
