"""Submitting a sign-in, and the code for one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.contract.problems import FieldFault
from api.contract.requests import CodeRequest, LoginRequest
from api.contract.responses import JobAccepted
from api.http.bodies import read_json
from api.http.callers import network, submitter
from api.http.errors import InvalidRequestError
from api.http.idempotency import repeatable
from api.http.limits import rate_limit_headers
from api.services import Services, services
from shared.audit.events import Event, EventKind
from shared.crypto.secret import Sealable
from shared.crypto.tokens import token_hash
from shared.errors import (
    ChallengeBusyError,
    FitTrackError,
    GarminRefusesError,
    ServiceUnavailableError,
)
from shared.garmin.types import CodeSubmission, Credentials
from shared.jobs.states import JobKind
from shared.jobs.store import JobStore, NewJob, Repeatable
from shared.logs.context import bind_job
from shared.origin import Origin
from shared.redis.rate_limits import RateLimit, RateLimitedError, Standing

_EVENT_INTERVAL = 60


@dataclass(frozen=True)
class _Submission[T: Sealable]:
    kind: JobKind
    work: T
    origin: Origin
    repeatable: Repeatable | None


@dataclass(frozen=True)
class _Accepted:
    job: NewJob
    standing: Standing


async def login(request: Request) -> Response:
    """Enqueues a sign-in and answers at once."""
    origin = await submitter(request)
    asked = await read_json(request, LoginRequest)
    if asked.user_id is not None and origin.client_id is None:
        fault = FieldFault(loc=["body", "user_id"], message="needs an X-Client-Key beside it")
        raise InvalidRequestError(fault)
    found = services(request)
    credentials = Credentials(
        username=SecretStr(asked.username), password=asked.password, domain=asked.domain
    )
    account = found.keyring.hash_name(credentials.account)
    origin = origin.model_copy(update={"account": account, "client_user_id": asked.user_id})
    kind = JobKind.LOGIN
    again = repeatable(request, found.keyring, kind, credentials, origin)
    submission = _Submission(kind, credentials, origin, again)
    return _response(await run_in_threadpool(_submit_login, found, submission))


async def complete_mfa(request: Request) -> Response:
    """Enqueues the check of a code and answers at once."""
    origin = await submitter(request)
    asked = await read_json(request, CodeRequest)
    found = services(request)
    code = CodeSubmission(challenge_id=asked.challenge_id, code=asked.mfa_code)
    kind = JobKind.MFA_COMPLETION
    again = repeatable(request, found.keyring, kind, code, origin)
    submission = _Submission(kind, code, origin, again)
    return _response(await run_in_threadpool(_submit_code, found, submission))


def _submit_login(found: Services, submission: _Submission[Credentials]) -> _Accepted:
    """Raises RateLimitedError, SignInInProgressError, IdempotencyKeyReusedError.

    And ServiceUnavailableError, also if Garmin refuses every driver for now: then the password is
    of no use, and is not kept.
    """
    origin = submission.origin
    standing = _count(found, found.limits.login_per_ip, _sender(found, origin), origin)
    job = _repeated(found, submission)
    if job is None:
        _check_account(found, origin)
        rest = found.cooldowns.shortest_remaining(found.drivers)
        if rest:
            raise GarminRefusesError(rest)
        job = _create(found, submission, JobStore.new_id())
    _send(found, submission, job)
    return _Accepted(job, standing)


def _submit_code(found: Services, submission: _Submission[CodeSubmission]) -> _Accepted:
    """Raises RateLimitedError, ChallengeNotFoundError, ChallengeBusyError.

    And IdempotencyKeyReusedError and ServiceUnavailableError.
    """
    origin, challenge_id = submission.origin, submission.work.challenge_id
    standing = _count(found, found.limits.code_per_ip, _sender(found, origin), origin)
    challenge = token_hash(challenge_id.get_secret_value())
    _count(found, found.limits.code_per_challenge, challenge, origin)
    job_id = JobStore.new_id()
    job = _repeated(found, submission)
    if job is None:
        try:
            opened = found.challenges.reserve(challenge_id, job_id, origin.client_id)
        except ChallengeBusyError:
            job = _repeated(found, submission)  # an equal one may have reserved it just now
            if job is None:
                raise
    if job is not None:
        _send(found, submission, job)
        return _Accepted(job, standing)
    here = {"address": origin.address, "request_id": origin.request_id}
    known = replace(submission, origin=opened.origin.model_copy(update=here))
    try:
        job = _create(found, known, job_id)
        if job.job_id != job_id:
            found.challenges.release(challenge_id, job_id)
        _send(found, known, job)
    except FitTrackError:
        with suppress(ServiceUnavailableError):
            found.challenges.release(challenge_id, job_id)
        raise
    return _Accepted(job, standing)


def _repeated(found: Services, submission: _Submission[Sealable]) -> NewJob | None:
    again = submission.repeatable
    return None if again is None else found.jobs.find_repeated(again)


def _create(found: Services, submission: _Submission[Sealable], job_id: str) -> NewJob:
    """Raises what `JobStore.create` raises. A job whose making was not answered is taken back."""
    kind, work, origin = submission.kind, submission.work, submission.origin
    try:
        return found.jobs.create(job_id, kind, work, origin, submission.repeatable)
    except ServiceUnavailableError:
        with suppress(ServiceUnavailableError):
            found.jobs.discard(job_id)
        raise


def _send(found: Services, submission: _Submission[Sealable], job: NewJob) -> None:
    """All or nothing: a job whose message could not be sent is taken back.

    A broker that took the message and then fell silent looks the same as one that did not: the
    job, which without its message nobody runs, tells them apart. A repeated submission sends the
    message that the first one may have failed to send; twice does no harm.
    """
    if not job.unsent:
        return
    try:
        found.queue.put(submission.kind, job.job_id)
    except ServiceUnavailableError:
        if found.jobs.discard(job.job_id):
            raise
        return
    if not found.jobs.confirm(job.job_id):
        what = "broker"  # an equal submission failed to send it, and took the job back
        raise ServiceUnavailableError(what)


def _sender(found: Services, origin: Origin) -> str:
    return found.keyring.hash_name(f"address {network(origin.address or '')}")


def _count(found: Services, limit: RateLimit, who: str, origin: Origin) -> Standing:
    with _refusal_told(found, who, origin):
        return limit.hit(who)


def _check_account(found: Services, origin: Origin) -> None:
    """What counts against an account are sign-ins that failed: the worker counts those."""
    assert origin.account is not None  # noqa: S101 - for the type checker
    with _refusal_told(found, origin.account, origin):
        found.limits.login_per_account.check(origin.account)


@contextmanager
def _refusal_told(found: Services, who: str, origin: Origin) -> Iterator[None]:
    """Once a minute for each: whoever asks a thousand times must not fill the audit log."""
    try:
        yield
    except RateLimitedError as refusal:
        limit = refusal.standing.limit
        event = Event.of(EventKind.RATE_LIMITED, origin, limit)
        found.events.add_once(event, f"{limit}:{who}", _EVENT_INTERVAL)
        raise


def _response(accepted: _Accepted) -> Response:
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
