"""Submitting sign-ins, imports and codes: who may, how often, and that each is submitted once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from api.http.limits import SenderLimit
from api.services import Services
from shared.audit.events import Event, EventKind
from shared.crypto.tokens import token_hash
from shared.errors import ChallengeBusyError, GarminRefusesError
from shared.garmin.imports import Import
from shared.garmin.types import CodeSubmission, Credentials
from shared.jobs.account_limit import AccountLimit, SignInLimit
from shared.jobs.repeats import NewJob
from shared.jobs.store import JobStore
from shared.jobs.submission import Submission
from shared.origin import Origin
from shared.redis.rate_limits import RateLimit, RateLimitedError, Standing

_EVENT_INTERVAL = 60


@dataclass(frozen=True)
class Accepted:
    """A job, and where its sender stands in the limit that counts senders."""

    job: NewJob
    standing: Standing


def submit_login(services: Services, submission: Submission[Credentials]) -> Accepted:
    """Enqueue a sign-in, or find the job of an equal one.

    Raises RateLimitedError, SignInInProgressError, IdempotencyKeyReusedError,
    ServiceUnavailableError; GarminRefusesError before the password is kept in vain.
    """
    origin = submission.origin
    standing = _count_sender(services, services.limits.login, origin)
    job = services.submitter.repeat(submission)
    if job is None:
        limit = SignInLimit(services.account_limit, services.code_limit)
        _check_account(limit, services, origin)
        cooldown = services.cooldowns.shortest_remaining(services.drivers, origin.account)
        if cooldown:
            raise GarminRefusesError(cooldown)
        job = services.submitter.submit(submission, JobStore.new_id())
    return Accepted(job, standing)


def submit_import(services: Services, submission: Submission[Import]) -> Accepted:
    """Enqueue an import, or find the job of an equal one. It counts as a sign-in.

    Raises RateLimitedError, SignInInProgressError, IdempotencyKeyReusedError,
    ServiceUnavailableError.
    """
    standing = _count_sender(services, services.limits.login, submission.origin)
    job = services.submitter.repeat(submission)
    if job is None:
        job = services.submitter.submit(submission, JobStore.new_id())
    return Accepted(job, standing)


def submit_code(services: Services, submission: Submission[CodeSubmission]) -> Accepted:
    """Enqueue the check of a code, or find the job of an equal submission.

    Raises RateLimitedError, ChallengeNotFoundError, ChallengeBusyError,
    IdempotencyKeyReusedError, ServiceUnavailableError.
    """
    origin, challenge_id = submission.origin, submission.work.challenge_id
    standing = _count_sender(services, services.limits.code, origin)
    challenge = token_hash(challenge_id.get_secret_value())
    _count(services, services.limits.code_per_challenge, challenge, origin)
    job = services.submitter.repeat(submission)
    if job is None:
        try:
            job = _submit_new_code(services, submission)
        except ChallengeBusyError:
            job = services.submitter.repeat(submission)  # an equal one may have just reserved it
            if job is None:
                raise
    return Accepted(job, standing)


def _submit_new_code(services: Services, submission: Submission[CodeSubmission]) -> NewJob:
    origin, challenge_id = submission.origin, submission.work.challenge_id
    job_id = JobStore.new_id()
    with services.challenges.reserved_for_submission(
        challenge_id, job_id, origin.client_id
    ) as challenge:
        # Whose sign-in it is comes from the challenge, where the code came from does not.
        sender = {"address": origin.address, "request_id": origin.request_id}
        of_challenge = replace(submission, origin=challenge.origin.model_copy(update=sender))
        _check_account(services.account_limit, services, of_challenge.origin)
        job = services.submitter.submit(of_challenge, job_id)
        if job.job_id != job_id:
            services.challenges.release(challenge_id, job_id)
    return job


def _count_sender(services: Services, limit: SenderLimit, origin: Origin) -> Standing:
    standings = [_count(services, part, who, origin) for part, who in limit.parts(origin)]
    return standings[0]


def _count(services: Services, limit: RateLimit, who: str, origin: Origin) -> Standing:
    with _refusals_recorded(services, who, origin):
        return limit.hit(who)


def _check_account(limit: AccountLimit | SignInLimit, services: Services, origin: Origin) -> None:
    if origin.account is not None:
        with _refusals_recorded(services, origin.account, origin):
            limit.check(origin.account)


@contextmanager
def _refusals_recorded(services: Services, who: str, origin: Origin) -> Iterator[None]:
    """Record a refusal in the audit log, once a minute for each sender: it must not fill up."""
    try:
        yield
    except RateLimitedError as refusal:
        limit = refusal.standing.limit
        event = Event.of(EventKind.RATE_LIMITED, origin, limit)
        services.events.add_once(event, f"{limit}:{who}", _EVENT_INTERVAL)
        raise
