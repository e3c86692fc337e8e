"""Submitting sign-ins, imports and codes: who may, how often, and that each is submitted once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pydantic import SecretStr

from api.http.limits import SenderLimit
from api.services import Services
from shared.audit.events import Event, EventKind
from shared.crypto.secret import Sealable
from shared.crypto.tokens import token_hash
from shared.errors import ChallengeBusyError, GarminRefusesError
from shared.garmin.imports import Import
from shared.garmin.types import CodeResend, CodeSubmission, Credentials
from shared.jobs.account_limit import AccountLimit, CodeLimit, SignInLimit
from shared.jobs.challenges import OpenChallenge, ResendNotPossibleError
from shared.jobs.repeats import NewJob
from shared.jobs.submission import Submission
from shared.origin import Origin
from shared.redis.rate_limits import RateLimit, RateLimitedError, Standing

_EVENT_INTERVAL = 60


@dataclass(frozen=True)
class Accepted:
    """A job, and where its sender stands in the limit that counts senders."""

    job: NewJob
    standing: Standing


def submit_login(
    services: Services, submission: Submission[Credentials], sender: Origin | None = None
) -> Accepted:
    """Enqueue a sign-in, or find the job of an equal one.

    `sender` counts as its sender where that is not its origin.
    Raises RateLimitedError, SignInInProgressError, IdempotencyKeyReusedError,
    ServiceUnavailableError; GarminRefusesError before the password is kept in vain.
    """
    origin = submission.origin
    standing = _count_sender(services, services.limits.login, origin, sender)
    job = services.submitter.repeat(submission)
    if job is None:
        limit = SignInLimit(services.account_limit, services.code_limit)
        _check_account(limit, services, origin)
        cooldown = services.cooldowns.shortest_remaining(services.drivers, origin.account)
        if cooldown:
            raise GarminRefusesError(cooldown)
        job = services.submitter.submit(submission)
    return Accepted(job, standing)


def submit_import(
    services: Services, submission: Submission[Import], sender: Origin | None = None
) -> Accepted:
    """Enqueue an import, or find the job of an equal one. It counts as a sign-in.

    `sender` counts as its sender where that is not its origin.
    Raises RateLimitedError, SignInInProgressError, IdempotencyKeyReusedError,
    ServiceUnavailableError.
    """
    standing = _count_sender(services, services.limits.login, submission.origin, sender)
    job = services.submitter.repeat(submission)
    if job is None:
        job = services.submitter.submit(submission)
    return Accepted(job, standing)


def submit_code(
    services: Services, submission: Submission[CodeSubmission], sender: Origin | None = None
) -> Accepted:
    """Enqueue the check of a code, or find the job of an equal submission.

    `sender` counts as its sender where that is not its origin.
    Raises RateLimitedError, ChallengeNotFoundError, ChallengeBusyError,
    IdempotencyKeyReusedError, ServiceUnavailableError.
    """
    origin, challenge_id = submission.origin, submission.work.challenge_id
    standing = _count_sender(services, services.limits.code, origin, sender)
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
    challenge_id, job_id = submission.work.challenge_id, submission.job_id
    with _reserved(services, submission, challenge_id) as (_, of_challenge):
        _check_account(services.account_limit, services, of_challenge.origin)
        job = services.submitter.submit(of_challenge)
        if job.job_id != job_id:
            services.challenges.release(challenge_id, job_id)
    return job


def submit_resend(
    services: Services, submission: Submission[CodeResend], sender: Origin | None = None
) -> Accepted:
    """Have Garmin send a code again, or find the job of an equal submission.

    `sender` counts as its sender where that is not its origin. Raises RateLimitedError,
    ChallengeNotFoundError, ChallengeBusyError, ResendNotPossibleError,
    IdempotencyKeyReusedError, ServiceUnavailableError.
    """
    origin, challenge_id = submission.origin, submission.work.challenge_id
    standing = _count_sender(services, services.limits.code, origin, sender)
    job = services.submitter.repeat(submission)
    if job is None:
        with _reserved(services, submission, challenge_id) as (challenge, of_challenge):
            if challenge.resend_after != 0:
                raise ResendNotPossibleError(challenge.resend_after)
            _check_account(services.code_limit, services, of_challenge.origin)
            job = services.submitter.submit(of_challenge)
    return Accepted(job, standing)


@contextmanager
def _reserved[T: Sealable](
    services: Services, submission: Submission[T], challenge_id: SecretStr
) -> Iterator[tuple[OpenChallenge, Submission[T]]]:
    """Reserve a challenge for a job, and name the job's origin.

    Whose sign-in it is comes from the challenge, where the submission came from does not.
    """
    origin = submission.origin
    with services.challenges.reserved_for_submission(
        challenge_id, submission.job_id, origin.client_id
    ) as challenge:
        sender = {"address": origin.address, "request_id": origin.request_id}
        yield challenge, replace(submission, origin=challenge.origin.model_copy(update=sender))


def count_connect_session(services: Services, origin: Origin) -> None:
    """Count a connect session as a sign-in of its app. Raises RateLimitedError."""
    _count(services, services.limits.login.per_client, str(origin.client_id), origin)


def _count_sender(
    services: Services, limit: SenderLimit, origin: Origin, sender: Origin | None
) -> Standing:
    parts = limit.parts(sender or origin)
    standings = [_count(services, part, who, origin) for part, who in parts]
    return standings[0]


def _count(services: Services, limit: RateLimit, who: str, origin: Origin) -> Standing:
    with _refusals_recorded(services, who, origin):
        return limit.hit(who)


def _check_account(
    limit: AccountLimit | CodeLimit | SignInLimit, services: Services, origin: Origin
) -> None:
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
