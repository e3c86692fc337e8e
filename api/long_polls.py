"""Waiting for a job to change, on behalf of a request."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from api.services import services
from shared.errors import ServiceUnavailableError
from shared.jobs.states import JobStage
from shared.jobs.views import JobView

_WAITING_POLLS = 8
"""Of one job, at once."""


def allowed_wait(request: Request, job_id: str, wait: int) -> int:
    """Return `wait`, or 0 while as many requests as are allowed wait for this job."""
    waiting = services(request).notifications.watchers(job_id)
    return 0 if waiting >= _WAITING_POLLS else wait


async def changed_view(
    request: Request, job_id: str, token: str, wait: int, seen: JobStage | None
) -> JobView:
    """Return the job when it has ended or left the stage `seen`, or after `wait` seconds.

    Raises JobNotFoundError, ServiceUnavailableError, and ClientDisconnect if the client leaves.
    """
    polls, notifications = services(request).polls, services(request).notifications
    if wait == 0:
        return await polls.view(job_id, token)
    ends_at = asyncio.get_running_loop().time() + wait
    # Watched before it is read: a change in between is not missed.
    with notifications.watch(job_id) as changed, _disconnect_watched(request, changed) as gone:
        view = await polls.view(job_id, token)
        known = (view.status, seen or view.stage)
        while not view.status.ended and (view.status, view.stage) == known:
            try:
                async with asyncio.timeout_at(ends_at):
                    await changed.wait()
            except TimeoutError:
                return await polls.view(job_id, token)
            if gone.done():
                raise ClientDisconnect
            changed.clear()
            try:
                view = await polls.view(job_id, token)
            except ServiceUnavailableError:
                if notifications.live:
                    raise
                # Else it is read again in a moment: Redis may be back before the wait is over.
        return view


@contextmanager
def _disconnect_watched(request: Request, changed: asyncio.Event) -> Iterator[asyncio.Task[None]]:
    """Set the event when the client leaves; the task is done then."""

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        changed.set()

    task = asyncio.create_task(disconnected())
    try:
        yield task
    finally:
        task.cancel()
