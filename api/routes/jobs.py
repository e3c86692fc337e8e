"""Polling a job."""

import asyncio
import re
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.models import (
    JobError,
    JobFailed,
    JobInProgress,
    JobMfaRequired,
    JobResponse,
    JobSucceeded,
    JobUser,
)
from api.http.bodies import bearer_token, wait_seconds
from api.services import Services, services
from shared.errors import JobNotFoundError
from shared.jobs.states import CodeRequested, Failure, Success
from shared.jobs.store import JobView
from shared.logs.context import bind_job

JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHALLENGE = {"attempts_left", "mfa_challenge_id"}


async def get_job(request: Request) -> Response:
    """Answers at once if the job has ended, else when it changes, else after `wait` seconds."""
    job_id: str = request.path_params["job_id"]
    token, wait = bearer_token(request), wait_seconds(request)
    if not JOB_ID.fullmatch(job_id):  # what else is kept in Redis has names that begin with it
        raise JobNotFoundError
    bind_job(job_id)
    view = await _changed_view(services(request), job_id, token, wait)
    # Who waits in the poll itself need not wait between two.
    headers = {} if view.status.ended else {"Retry-After": "0" if wait else "1"}
    body = job_response(view)
    absent = _CHALLENGE if isinstance(body, JobFailed) and body.mfa_challenge_id is None else set()
    return Response(
        body.model_dump_json(exclude=absent), headers=headers, media_type="application/json"
    )


async def _changed_view(found: Services, job_id: str, token: str, wait: int) -> JobView:
    first = await run_in_threadpool(found.jobs.view, job_id, token)
    if wait == 0 or first.status.ended:
        return first
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait
    with found.notifications.watch(job_id) as changed:
        while True:
            changed.clear()
            view = await run_in_threadpool(found.jobs.view, job_id, token)
            if (view.status, view.stage) != (first.status, first.stage):
                return view
            try:
                async with asyncio.timeout_at(ends_at):
                    await changed.wait()
            except TimeoutError:
                return await run_in_threadpool(found.jobs.view, job_id, token)


def job_response(view: JobView) -> JobResponse:
    """A job as the contract writes it."""
    job_id, kind = view.job_id, view.kind
    match view.outcome:
        case CodeRequested() as asked:
            return JobMfaRequired(
                job_id=job_id,
                kind=kind,
                mfa_challenge_id=asked.challenge_id.get_secret_value(),
                mfa_type=asked.mfa_type,
                mfa_destination=asked.mfa_destination,
                expires_in=_seconds_until(asked.expires_at),
                attempts_left=asked.attempts_left,
            )
        case Success() as success:
            return JobSucceeded(
                job_id=job_id,
                kind=kind,
                session_id=success.session_id,
                access_token=success.access_token.get_secret_value(),
                expires_in=_seconds_until(success.session_expires_at),
                user=JobUser(id=success.user_id, display_name=success.display_name),
            )
        case Failure() as failure:
            return _failed(view, failure)
        case None:
            status = "queued" if view.status == "queued" else "running"
            return JobInProgress(job_id=job_id, kind=kind, status=status, stage=view.stage)


def _failed(view: JobView, failure: Failure) -> JobFailed:
    error = JobError(code=failure.code, message=failure.message, retry_after=failure.retry_after)
    challenge_id = failure.challenge_id
    return JobFailed(
        job_id=view.job_id,
        kind=view.kind,
        error=error,
        attempts_left=failure.attempts_left,
        mfa_challenge_id=None if challenge_id is None else challenge_id.get_secret_value(),
    )


def _seconds_until(moment: datetime) -> int:
    return max(0, int((moment - datetime.now(UTC)).total_seconds()))
