"""Jobs as workers see them: claimed under a lease, moved, ended."""

import time
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from shared.audit import outbox
from shared.audit.events import Event
from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.secret import Sealable
from shared.crypto.tokens import token_hash
from shared.errors import JobErrorCode, JobLostError, JobNotFoundError
from shared.jobs import counters, events
from shared.jobs.keys import JobKeys, ms, subject
from shared.jobs.kinds import KINDS, Kind
from shared.jobs.states import (
    TRANSITIONS,
    CodeRequested,
    Failure,
    JobCancelledError,
    JobKind,
    JobStage,
    JobStatus,
    Outcome,
    status_of,
)
from shared.origin import UNKNOWN, Origin
from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.timings import PRODUCTION, Timings

_MOVED = 1
_FIRST_STAGES = {kind: row.first_stage for kind, row in KINDS.items()}


class JobBusyError(JobLostError):
    """Another worker holds the job's lease."""


@dataclass(frozen=True)
class Claim:
    """A job as the worker that holds it sees it.

    `runs` counts the workers that have held it, this one included. `progress` is what an earlier
    one had already got from Garmin. `began_at` is when the sign-in was submitted, in ms by Redis'
    clock; `began` is the same on this process's monotonic clock. `sent_at` is when the claim was
    sent, on that clock: its lease may have begun then.
    """

    job_id: str
    owner: str
    kind: JobKind
    runs: int
    input: bytes | None = field(repr=False)
    progress: bytes | None = field(repr=False)
    origin: Origin = UNKNOWN
    subject: str = field(default="", repr=False)
    """What all that is sealed in the job is bound to."""

    began_at: int = 0
    began: float = 0.0
    cancelled: bool = False
    sent_at: float = field(default_factory=time.monotonic, compare=False)


class _Ending(NamedTuple):
    """What is written where a job ends. `challenge` is the name of the one it has opened."""

    result: str = ""
    event: Event | None = None
    challenge: str | None = None


class JobClaims:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(
        self, redis: Redis, keyring: Keyring, ttl: int, timings: Timings = PRODUCTION
    ) -> None:
        self._redis = redis
        self._keys = JobKeys(redis.keyspace)
        self._events = outbox.key(redis.keyspace)
        self._keyring = keyring
        self._ttl = ttl
        self._timings = timings
        self._claim = LuaScript(redis, __package__, "job_claim")
        self._move = LuaScript(redis, __package__, "job_move")
        self._renew = LuaScript(redis, __package__, "lease_renew")
        self._release = LuaScript(redis, __package__, "lease_release")

    @redis_errors_translated
    def look_at(self, job_id: str) -> tuple[Kind, Origin]:
        """Return what is known of a job before it is claimed; nothing of it changes.

        Raises JobNotFoundError when it is gone, or of a kind that only a newer version knows.
        """
        kind, origin = cast(
            "list[bytes | None]", self._redis.hmget(self._keys.job(job_id), ["kind", "origin"])
        )
        row = KINDS.get(cast("JobKind", (kind or b"").decode(errors="replace")))
        if row is None:
            raise JobNotFoundError
        return row, Origin.read((origin or b"{}").decode(errors="replace"))

    @redis_errors_translated
    def claim(self, job_id: str, owner: str) -> Claim:
        """Take the job for `owner`, a name no other worker has, and begin its first stage.

        Raises JobNotFoundError when it is gone, has ended, or is of a kind that only a newer
        version knows, and JobBusyError while another holds it.
        """
        sent_at = time.monotonic()
        answer = self._claim(
            self._keys.job(job_id),
            self._keys.lease(job_id),
            self._keys.input(job_id),
            self._keys.open,
            job_id=job_id,
            owner=owner,
            lease=ms(self._timings.lease),
            look_after=ms(self._timings.lost_message),
            open_ttl=ms(self._ttl + self._timings.progress_ttl),
            channel=self._keys.channel,
            stages=_FIRST_STAGES,
        )
        if answer[0] == b"busy":
            raise JobBusyError
        if answer[0] != b"claimed":
            raise JobNotFoundError
        _, kind, runs, sealed, progress, origin_json, poll_hash, now, cancelled = answer
        origin_text = origin_json.decode(errors="replace")
        origin = Origin.read(origin_text)
        began_at = origin.began_at or int(now)
        return Claim(
            job_id,
            owner,
            JobKind(kind.decode()),
            int(runs),
            sealed or None,
            progress or None,
            origin,
            subject(job_id, poll_hash.decode(errors="replace"), origin_text),
            began_at,
            time.monotonic() - (int(now) - began_at) / 1000,
            bool(cancelled),
            sent_at,
        )

    def open_input[T: Sealable](self, claim: Claim, model: type[T]) -> T | None:
        """Return what the submitter gave; None if it is gone. Raises SealBrokenError."""
        return self._open(claim.input, KINDS[claim.kind].input, claim, model)

    def open_progress[T: Sealable](self, claim: Claim, model: type[T]) -> T | None:
        """Return what an earlier run had reached, if any. Raises SealBrokenError."""
        return self._open(claim.progress, Purpose.JOB_PROGRESS, claim, model)

    @redis_errors_translated
    def renew(self, claim: Claim) -> bool:
        """Keep the job for another lease; False if it is no longer the owner's."""
        lease, job = self._keys.lease(claim.job_id), self._keys.job(claim.job_id)
        return bool(self._renew(lease, job, owner=claim.owner, lease=ms(self._timings.lease)))

    @redis_errors_translated
    def release(self, claim: Claim) -> None:
        """Give the job back unfinished, for a later run. This claim ends for good."""
        lease, job = self._keys.lease(claim.job_id), self._keys.job(claim.job_id)
        self._release(
            lease,
            self._keys.open,
            job,
            job_id=claim.job_id,
            owner=claim.owner,
            look_after=ms(self._timings.lost_message),
        )

    def keep_progress(self, claim: Claim, stage: JobStage, progress: Sealable) -> None:
        """Seal what has been reached into the job. Raises JobLostError and JobCancelledError.

        The job then lives for `Timings.progress_ttl`, or for its usual time to live if longer.
        """
        sealed = self._keyring.seal(progress.reveal(), Purpose.JOB_PROGRESS, claim.subject)
        min_ttl = max(self._timings.progress_ttl, self._ttl)
        if not self._apply(claim, JobStatus.RUNNING, {"stage": stage, "progress": sealed}, min_ttl):
            raise JobCancelledError

    def end(self, claim: Claim, outcome: Outcome) -> str:
        """End the job and delete what was sealed for its worker; return its result code.

        The outcome can be polled for `Timings.outcome_ttl` at least, and no longer than a new job.
        The result code is the job's status, or the code of its error. A cancelled job ends without
        the outcome, and with the challenge that it names. Raises JobLostError.
        """
        sealed = self._keyring.seal(outcome.reveal(), Purpose.JOB_OUTCOME, claim.subject)
        status = status_of(outcome)
        result = str(outcome.code if isinstance(outcome, Failure) else status)
        event = None
        if result != JobErrorCode.CANCELLED:  # which is written where the job is cancelled
            event = events.ended(claim.job_id, claim.kind, outcome, claim.origin)
        ending = _Ending(result, event, _challenge_of(outcome))
        min_ttl = self._timings.outcome_ttl
        moved = self._apply(claim, status, {"outcome": sealed}, min_ttl, ending)
        return result if moved else str(JobErrorCode.CANCELLED)

    @redis_errors_translated
    def _apply(
        self,
        claim: Claim,
        status: JobStatus,
        fields: dict[str, str | bytes],
        min_ttl: int = 0,
        ending: _Ending | None = None,
    ) -> bool:
        """Return whether the step was taken: not if the job is cancelled. Raises JobLostError."""
        result, event, challenge = ending or _Ending()
        moved = self._move(
            self._keys.job(claim.job_id),
            self._keys.lease(claim.job_id),
            self._keys.input(claim.job_id),
            self._keys.ended,
            self._events,
            self._keys.open,
            *([] if challenge is None else [self._keys.challenge(challenge)]),
            job_id=claim.job_id,
            owner=claim.owner,
            allowed={before: True for before in JobStatus if status in TRANSITIONS[before]},
            status=status,
            fields=fields,
            channel=self._keys.channel,
            ends=status.ended or None,
            min_ttl=ms(min_ttl),
            max_ttl=ms(self._ttl),
            counter=f"{claim.kind}:{result}",
            cancelled_counter=f"{claim.kind}:{JobErrorCode.CANCELLED}",
            counter_ttl=counters.TTL,
            event=event.model_dump_json(exclude_none=True) if event else None,
            event_limit=outbox.MAX_LENGTH,
            event_ttl=outbox.TTL,
        )
        if not moved:
            raise JobLostError
        return int(moved) == _MOVED

    def _open[T: Sealable](
        self, sealed: bytes | None, purpose: Purpose, claim: Claim, model: type[T]
    ) -> T | None:
        if sealed is None:
            return None
        return model.from_revealed(self._keyring.open(sealed, purpose, claim.subject))


def _challenge_of(outcome: Outcome) -> str | None:
    if not isinstance(outcome, CodeRequested):
        return None
    return token_hash(outcome.challenge_id.get_secret_value())
