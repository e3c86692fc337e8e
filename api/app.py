"""The Starlette application: routes, errors and middleware, around what it is handed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from api.http.middleware import CatchUnhandled, RequestMiddleware
from api.http.problems import ApiError, answer_api_error, answer_http_error, answer_our_error
from api.pages import docs
from api.routes import connections as links
from api.routes import health, jobs, sessions, sign_in
from api.services import Services
from shared.errors import FitTrackError
from shared.memory import release_unused

THREADS = 100
"""Calls to Redis and the database that may wait at once, so that a hung one is told in time."""


_HEADERS_IN = ("Authorization", "Content-Type", "Idempotency-Key", "X-Client-Key", "X-Request-Id")
_HEADERS_OUT = ("Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")


def create_app(services: Services, cors_origins: Sequence[str] = ()) -> Starlette:
    """`cors_origins`: whose pages may call this from a browser."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = THREADS
        listening = asyncio.create_task(services.notifications.run())
        release_unused()
        try:
            yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            services.database.close()

    app = Starlette(
        routes=[
            Route("/api/garmin/login", sign_in.login, methods=["POST"]),
            Route("/api/garmin/login/mfa-complete", sign_in.complete_mfa, methods=["POST"]),
            Route("/api/jobs/{job_id}", jobs.get_job),
            Route("/api/session", sessions.session, methods=["GET", "DELETE"]),
            Route("/api/sessions", sessions.delete_sessions, methods=["DELETE"]),
            Route("/api/garmin/tokens", sessions.delete_tokens, methods=["DELETE"]),
            # An app's ids may hold anything, slashes too.
            Route("/api/users/{user_id:path}/garmin", links.link, methods=["GET", "DELETE"]),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            *docs.ROUTES,
        ],
        middleware=[
            Middleware(RequestMiddleware, metrics=services.metrics),
            *_cors(cors_origins),
            Middleware(CatchUnhandled),
        ],
        exception_handlers={
            ApiError: answer_api_error,
            FitTrackError: answer_our_error,
            HTTPException: answer_http_error,
        },
        lifespan=lifespan,
    )
    # A redirect would send a password on to whatever the Host header names, in the clear.
    app.router.redirect_slashes = False
    app.state.services = services
    return app


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
