"""The Starlette application: routes, errors and middleware."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.connect import page
from api.contract.operations import Endpoint, Operation
from api.http.middleware import CatchUnhandled, RequestMiddleware
from api.http.problems import answer_error, answer_http_error
from api.pages import docs, index
from api.routes.table import OPERATIONS
from api.services import Services
from shared.clocks import CHECK_INTERVAL, CHECK_RETRY, Clocks
from shared.deployment import Deployment
from shared.errors import FitTrackError, ServiceUnavailableError
from shared.logs.locations import where
from shared.memory import release_unused

_log = logging.getLogger(__name__)

THREADS = 100
"""How many calls to Redis and the broker may wait at once."""

_HEADERS_IN = ("Authorization", "Content-Type", "Idempotency-Key", "X-Client-Key", "X-Request-Id")
_HEADERS_OUT = ("Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")


def create_app(services: Services, cors_origins: Sequence[str] = ()) -> Starlette:
    """`cors_origins`: whose pages may call this from a browser."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = THREADS
        tasks = [
            asyncio.create_task(services.notifications.run()),
            asyncio.create_task(_check_clocks(services.clocks)),
            asyncio.create_task(_renew(services.deployment)),
            asyncio.create_task(run_in_threadpool(services.degradation.names)),  # it logs them
        ]
        release_unused()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await services.polls.close()
            services.database.close()
            await services.token_requests.close()

    app = Starlette(
        routes=[*_routes(OPERATIONS), *index.ROUTES, *docs.ROUTES, *page.ROUTES],
        middleware=[
            Middleware(RequestMiddleware, metrics=services.metrics),
            *_cors(cors_origins),
            Middleware(CatchUnhandled),
        ],
        exception_handlers={
            FitTrackError: answer_error,
            HTTPException: answer_http_error,
        },
        lifespan=lifespan,
    )
    # A redirect would send a password on to whatever the Host header names, in the clear.
    app.router.redirect_slashes = False
    app.state.services = services
    return app


async def _check_clocks(clocks: Clocks) -> None:
    while True:
        try:
            await run_in_threadpool(clocks.check)
            await asyncio.sleep(CHECK_INTERVAL)
        except ServiceUnavailableError:
            await asyncio.sleep(CHECK_RETRY)
        except Exception as error:  # the next check may succeed
            _log.error("clocks: bug: %s", where(error))  # noqa: TRY400, RUF100
            await asyncio.sleep(CHECK_INTERVAL)


async def _renew(deployment: Deployment) -> None:
    while True:
        await asyncio.sleep(deployment.renewal)
        with suppress(ServiceUnavailableError):
            await run_in_threadpool(deployment.renew)


def _routes(operations: Sequence[Operation]) -> list[Route]:
    """One route a path, so that `Allow` names all of its methods."""
    paths: defaultdict[str, dict[str, Endpoint]] = defaultdict(dict)
    for operation in operations:
        paths[operation.path][operation.method] = operation.endpoint
    return [Route(path, _by_method(of), methods=list(of)) for path, of in paths.items()]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        # HEAD is answered as GET; the server leaves the body out.
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return endpoint


def _cors(origins: Sequence[str]) -> list[Middleware]:
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_HEADERS_IN,
            expose_headers=_HEADERS_OUT,
        )
    ]
