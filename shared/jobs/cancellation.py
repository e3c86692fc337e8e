"""Cancelling a job, for its submitter.

A job that is queued, or waits for a code, ends at once. One that talks to Garmin ends by itself:
until then it keeps its account, so that no other sign-in begins beside it, and its result is not
used. Once what Garmin gave is being stored, it is too late.
"""

from collections.abc import Mapping
from typing import cast

from pydantic import SecretStr, ValidationError

from shared.audit import outbox
from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.tokens import token_hash
from shared.errors import FitTrackError, SealBrokenError, ServiceUnavailableError
from shared.garmin.types import CodeSubmission
from shared.jobs import counters, events
from shared.jobs.keys import JobKeys, ms, subject
from shared.jobs.states import (
    CodeRequested,
    Failure,
    JobCancelledError,
    JobKind,
    JobStatus,
)
from shared.jobs.views import JobView, view_job
from shared.origin import Origin
from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.timings import PRODUCTION, Timings

_CANCELLABLE = {JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.MFA_REQUIRED}
_TRIES = 5
"""More than a job has statuses to change to while it is being cancelled."""


class JobNotCancellableError(FitTrackError):
    """The job has ended, or what Garmin gave is being stored; or it is an import that runs."""

    code = "job_not_cancellable"
    message = "The job has ended, or its result is being stored: it can't be cancelled any more."


class JobCancellation:
    def __init__(self, redis: Redis, keyring: Keyring, timings: Timings = PRODUCTION) -> None:
        self._redis = redis
        self._keys = JobKeys(redis.keyspace)
        self._events = outbox.key(redis.keyspace)
        self._keyring = keyring
        self._min_ttl = timings.outcome_ttl
        self._cancel = LuaScript(redis, __package__, "job_cancel")

    @redis_errors_translated
    def cancel(self, job_id: str, poll_token: str) -> None:
        """Cancel the job of who holds its poll token, and close its challenge. Idempotent.

        Raises JobNotFoundError, JobNotCancellableError, ServiceUnavailableError.
        """
        for _ in range(_TRIES):
            fields = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.job(job_id)))
            named = {name.decode(): value for name, value in fields.items()}
            view = view_job(self._keyring, job_id, poll_token, named)
            if isinstance(view.outcome, Failure) and view.outcome.code == JobCancelledError.code:
                return
            if not _is_cancellable(view):
                raise JobNotCancellableError
            answer = self._try(view, fields)
            if answer == b"late":
                raise JobNotCancellableError
            if answer == b"cancelled":
                return
        raise ServiceUnavailableError("redis")

    def _try(self, view: JobView, fields: Mapping[bytes, bytes]) -> bytes:
        """Cancel the job unless it has changed since it was read; return the script's answer."""
        job_id, failure = view.job_id, Failure.of(JobCancelledError())
        origin = fields.get(b"origin", b"").decode()
        bound_to = subject(job_id, fields.get(b"poll_hash", b"").decode(), origin)
        event = None
        if isinstance(view.kind, JobKind):
            event = events.ended(job_id, view.kind, failure, Origin.read(origin))
        challenge_id = self._challenge(view, bound_to)
        name = "" if challenge_id is None else token_hash(challenge_id.get_secret_value())
        return cast(
            "bytes",
            self._cancel(
                self._keys.job(job_id),
                self._keys.input(job_id),
                self._keys.challenge(name),
                self._keys.ended,
                self._events,
                self._keys.open,
                job_id=job_id,
                status=view.status,
                jobs=self._keys.jobs,
                outcome=self._keyring.seal(failure.reveal(), Purpose.JOB_OUTCOME, bound_to),
                channel=self._keys.channel,
                min_ttl=ms(self._min_ttl),
                counter=f"{view.kind}:{failure.code}",
                counter_ttl=counters.TTL,
                event=event.model_dump_json(exclude_none=True) if event else None,
                event_limit=outbox.MAX_LENGTH,
                event_ttl=outbox.TTL,
            ),
        )

    def _challenge(self, view: JobView, bound_to: str) -> SecretStr | None:
        """Return the challenge that the job waits for, or whose code it checks."""
        if isinstance(view.outcome, CodeRequested):
            return view.outcome.challenge_id
        if view.kind != JobKind.MFA_COMPLETION:
            return None
        sealed = cast("bytes | None", self._redis.get(self._keys.input(view.job_id)))
        try:
            revealed = self._keyring.open(sealed or b"", Purpose.JOB_INPUT, bound_to)
            return CodeSubmission.from_revealed(revealed).challenge_id
        except (SealBrokenError, ValidationError):
            return None  # the code can't be checked either


def _is_cancellable(view: JobView) -> bool:
    # An import may have had Garmin replace a refresh token: without its result, both are lost.
    if view.kind == JobKind.IMPORT and view.status is JobStatus.RUNNING:
        return False
    return view.status in _CANCELLABLE
