"""Alive, ready, and measured."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.models import Health
from api.http.problems import ApiError
from api.services import services
from shared.errors import ServiceUnavailableError


async def healthz(_: Request) -> Response:
    """The process answers."""
    return _ok()


async def readyz(request: Request) -> Response:
    """Redis and the database answer; 503 and which one, if not."""
    found = services(request)
    checks: dict[str, Callable[[], None]] = {
        "redis": found.redis.ping,
        "database": found.database.ping,
    }
    missing = [name for name, ping in checks.items() if not await run_in_threadpool(_answers, ping)]
    if missing:
        detail = f"Not ready: {', '.join(missing)} does not answer."
        headers = {"Retry-After": "5"}
        raise ApiError(503, "service_unavailable", detail, headers, unavailable=missing)
    return _ok()


async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    body, content_type = await run_in_threadpool(services(request).metrics.render)
    return Response(body, headers={"Content-Type": content_type})


def _answers(ping: Callable[[], None]) -> bool:
    try:
        ping()
    except ServiceUnavailableError:
        return False
    return True


def _ok() -> Response:
    return Response(Health().model_dump_json(), media_type="application/json")
