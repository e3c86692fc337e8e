"""Liveness, readiness and metrics."""

from collections.abc import Awaitable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.responses import Health, Readiness
from api.http.errors import NotReadyError
from api.services import services
from shared.errors import ServiceUnavailableError


async def healthz(_: Request) -> Response:
    """Answer without asking Redis or the database."""
    return _response(Health())


async def readyz(request: Request) -> Response:
    """Ask Redis and the database. Raise NotReadyError, naming those that don't answer.

    What answers, but is not as it has to be, is named in the body.
    """
    degraded = await run_in_threadpool(services(request).degradation.names)
    redis, database = services(request).redis, services(request).database
    checks = {"redis": run_in_threadpool(redis.ping), "database": database.ping()}
    missing = [name for name, check in checks.items() if not await _answers(check)]
    if missing:
        raise NotReadyError(missing)
    return _response(Readiness(status="degraded", degraded=degraded) if degraded else Readiness())


async def metrics(request: Request) -> Response:
    """Answer in Prometheus' text format."""
    body, content_type = await run_in_threadpool(services(request).metrics.render)
    return Response(body, headers={"Content-Type": content_type})


async def _answers(check: Awaitable[None]) -> bool:
    try:
        await check
    except ServiceUnavailableError:
        return False
    return True


def _response(body: Health | Readiness) -> Response:
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")
