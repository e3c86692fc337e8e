"""Submitting a sign-in, the code for one, and an import in place of one."""

from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.problems import FieldFault
from api.contract.requests import CodeRequest, ImportRequest, LoginRequest, ResendRequest
from api.contract.responses import JobAccepted
from api.http.bodies import read_json
from api.http.callers import submitter
from api.http.errors import InvalidRequestError
from api.http.idempotency import repeatable
from api.http.limits import rate_limit_headers
from api.services import services
from api.sign_ins import Accepted, submit_code, submit_import, submit_login, submit_resend
from shared.garmin.imports import Import
from shared.garmin.types import CodeResend, CodeSubmission, Credentials
from shared.jobs.states import JobKind
from shared.jobs.submission import Submission
from shared.logs.context import bind_job
from shared.origin import Origin


async def login(request: Request) -> Response:
    """Enqueue a sign-in and answer at once."""
    origin = await submitter(request)
    body = await read_json(request, LoginRequest)
    _check_user_id(body.user_id, origin)
    credentials = Credentials(
        username=SecretStr(body.username), password=body.password, domain=body.domain
    )
    keyring = services(request).keyring
    account = keyring.hash_name(credentials.account)
    origin = origin.model_copy(update={"account": account, "client_user_id": body.user_id})
    again = repeatable(request, keyring, JobKind.LOGIN, credentials, origin)
    submission = Submission(JobKind.LOGIN, credentials, origin, again)
    return _response(await run_in_threadpool(submit_login, services(request), submission))


async def import_tokens(request: Request) -> Response:
    """Enqueue an import and answer at once."""
    origin = await submitter(request)
    body = await read_json(request, ImportRequest)
    _check_user_id(body.user_id, origin)
    work = Import(given=body.given, domain=body.domain)
    keyring = services(request).keyring
    account = keyring.hash_name(work.name)
    origin = origin.model_copy(update={"account": account, "client_user_id": body.user_id})
    again = repeatable(request, keyring, JobKind.IMPORT, work, origin)
    submission = Submission(JobKind.IMPORT, work, origin, again)
    return _response(await run_in_threadpool(submit_import, services(request), submission))


async def complete_mfa(request: Request) -> Response:
    """Enqueue the check of a code and answer at once."""
    origin = await submitter(request)
    body = await read_json(request, CodeRequest)
    code = CodeSubmission(challenge_id=body.challenge_id, code=body.mfa_code)
    kind = JobKind.MFA_COMPLETION
    again = repeatable(request, services(request).keyring, kind, code, origin)
    submission = Submission(kind, code, origin, again)
    return _response(await run_in_threadpool(submit_code, services(request), submission))


async def resend_code(request: Request) -> Response:
    """Have the code sent again and answer at once."""
    origin = await submitter(request)
    body = await read_json(request, ResendRequest)
    work, kind = CodeResend(challenge_id=body.challenge_id), JobKind.CODE_RESEND
    again = repeatable(request, services(request).keyring, kind, work, origin)
    submission = Submission(kind, work, origin, again)
    return _response(await run_in_threadpool(submit_resend, services(request), submission))


def _check_user_id(user_id: str | None, origin: Origin) -> None:
    if user_id is not None and origin.client_id is None:
        fault = FieldFault(loc=["body", "user_id"], message="needs an X-Client-Key beside it")
        raise InvalidRequestError(fault)


def _response(accepted: Accepted) -> Response:
    job = accepted.job
    bind_job(job.job_id)
    status_url = f"/api/jobs/{job.job_id}"
    body = JobAccepted(
        job_id=job.job_id,
        poll_token=job.poll_token.get_secret_value(),
        status_url=status_url,
        expires_in=job.expires_in,
    )
    headers = {"Location": status_url, "Retry-After": "1"}
    return Response(
        body.model_dump_json(),
        status_code=202,
        headers=headers | rate_limit_headers(accepted.standing),
        media_type="application/json",
    )
