"""Polling a job."""

from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.requests import JOB_ID
from api.contract.responses import (
    JobError,
    JobFailed,
    JobInProgress,
    JobMfaRequired,
    JobResponse,
    JobSucceeded,
    JobUser,
)
from api.http.bodies import bearer_token, seen_stage, wait_seconds
from api.long_polls import allowed_wait, changed_view
from api.services import services
from shared.errors import JobNotFoundError
from shared.jobs.states import CodeRequested, Failure, Success
from shared.jobs.views import JobView
from shared.logs.context import bind_job

_CHALLENGE = {"attempts_left", "mfa_challenge_id"}


async def get_job(request: Request) -> Response:
    """Answer at once if the job has ended or left the stage that the client saw.

    Otherwise answer when it changes, after `wait` seconds at the latest. While as many polls as are
    allowed wait for this job, answer at once in any case.
    """
    token, wait, seen = bearer_token(request), wait_seconds(request), seen_stage(request)
    job_id = _job_id(request)
    wait = allowed_wait(request, job_id, wait)
    view = await changed_view(request, job_id, token, wait, seen)
    # A client that waits in the poll itself need not wait between two.
    headers = {} if view.status.ended else {"Retry-After": "0" if wait else "1"}
    body = job_response(view)
    return Response(
        body.model_dump_json(exclude=_absent(body)), headers=headers, media_type="application/json"
    )


async def delete_job(request: Request) -> Response:
    """Cancel the job; one that talks to Garmin ends by itself, and its result is not used."""
    token, job_id = bearer_token(request), _job_id(request)
    await run_in_threadpool(services(request).cancellation.cancel, job_id, token)
    return Response(status_code=204)


def _job_id(request: Request) -> str:
    """Raise JobNotFoundError for what is no id: other keys in Redis begin with a job's id."""
    job_id: str = request.path_params["job_id"]
    if not JOB_ID.fits(job_id):
        raise JobNotFoundError
    bind_job(job_id)
    return job_id


def job_response(view: JobView) -> JobResponse:
    """A job as the contract writes it."""
    job_id, kind = view.job_id, view.kind
    match view.outcome:
        case CodeRequested() as challenge:
            return JobMfaRequired(
                job_id=job_id,
                kind=kind,
                mfa_challenge_id=challenge.challenge_id.get_secret_value(),
                mfa_type=challenge.mfa_type,
                mfa_destination=challenge.mfa_destination,
                expires_in=_seconds_until(challenge.expires_at),
                attempts_left=challenge.attempts_left,
            )
        case Success() as success:
            return JobSucceeded(
                job_id=job_id,
                kind=kind,
                session_id=success.session_id,
                access_token=success.access_token.get_secret_value(),
                expires_in=_seconds_until(success.session_expires_at),
                user=JobUser(id=success.user_id, display_name=success.display_name),
                exclusive=success.exclusive,
            )
        case Failure() as failure:
            return _failed(view, failure)
        case None:
            status = "queued" if view.status == "queued" else "running"
            return JobInProgress(job_id=job_id, kind=kind, status=status, stage=view.stage)


def _absent(body: JobResponse) -> set[str]:
    """Return which fields are not there at all, rather than null."""
    if isinstance(body, JobFailed) and body.mfa_challenge_id is None:
        return _CHALLENGE
    if isinstance(body, JobSucceeded) and body.exclusive is None:
        return {"exclusive"}
    return set()


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
