"""The Starlette application: routes, errors and middleware, around what it is handed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from api import docs, health, jobs, sessions, sign_in
from api.middleware import Counting, LastNet, RequestIds, SafeHeaders
from api.problems import ApiError, answer_api_error, answer_http_error, answer_our_error
from api.services import Services
from shared.errors import FitTrackError

THREADS = 100
"""Calls to Redis and the database that may wait at once, so that a hung one is told in time."""


def create_app(services: Services) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = THREADS
        listening = asyncio.create_task(services.notifications.run())
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
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            *docs.ROUTES,
        ],
        middleware=[
            Middleware(RequestIds),
            Middleware(SafeHeaders),
            Middleware(Counting, metrics=services.metrics),
            Middleware(LastNet),
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
