"""Submitting a sign-in, and the code for one."""

from contextlib import suppress

from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import read_json
from api.models import CodeRequest, JobAccepted, LoginRequest
from api.services import Services, services
from shared.errors import ServiceUnavailableError
from shared.garmin import CodeSubmission, Credentials
from shared.job_states import JobKind
from shared.jobs import JobStore, NewJob
from shared.logs import bind_job
from shared.secret import Sealable


async def login(request: Request) -> Response:
    """Enqueues a sign-in and answers at once."""
    asked = await read_json(request, LoginRequest)
    credentials = Credentials(
        username=SecretStr(asked.username), password=asked.password, domain=asked.domain
    )
    job_id = _new_job()
    found = services(request)
    return _accepted(await run_in_threadpool(_submit, found, JobKind.LOGIN, job_id, credentials))


async def complete_mfa(request: Request) -> Response:
    """Enqueues the check of a code and answers at once."""
    asked = await read_json(request, CodeRequest)
    submission = CodeSubmission(challenge_id=asked.challenge_id, code=asked.mfa_code)
    job_id = _new_job()
    return _accepted(await run_in_threadpool(_submit_code, services(request), job_id, submission))


def _new_job() -> str:
    """Its id, which the request's log lines have from now on."""
    job_id = JobStore.new_id()
    bind_job(job_id)
    return job_id


def _submit_code(found: Services, job_id: str, submission: CodeSubmission) -> NewJob:
    """Raises ChallengeNotFoundError, ChallengeBusyError, ServiceUnavailableError."""
    found.challenges.reserve(submission.challenge_id, job_id)
    try:
        return _submit(found, JobKind.MFA_COMPLETION, job_id, submission)
    except ServiceUnavailableError:
        with suppress(ServiceUnavailableError):
            found.challenges.release(submission.challenge_id, job_id)
        raise


def _submit(found: Services, kind: JobKind, job_id: str, work: Sealable) -> NewJob:
    """All or nothing: a job whose message could not be sent is taken back.

    A broker that took the message and then fell silent looks the same as one that did not: the
    job, which without its message nobody runs, tells them apart.
    """
    job = found.jobs.create(job_id, kind, work)
    try:
        found.queue.put(kind, job_id)
    except ServiceUnavailableError:
        if found.jobs.discard(job_id):
            raise
    return job


def _accepted(job: NewJob) -> Response:
    status_url = f"/api/jobs/{job.job_id}"
    accepted = JobAccepted(
        job_id=job.job_id,
        poll_token=job.poll_token.get_secret_value(),
        status_url=status_url,
        expires_in=job.expires_in,
    )
    return Response(
        accepted.model_dump_json(),
        status_code=202,
        headers={"Location": status_url, "Retry-After": "1"},
        media_type="application/json",
    )
