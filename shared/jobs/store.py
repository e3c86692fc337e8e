"""Jobs in Redis: one hash each, a lease for the worker that runs it, and its sealed input.

`fittrack:job:<id>` (hash: kind, status, stage, poll_hash, origin, sent_at, owner, runs, progress,
outcome, sent, and the names of the two keys below that are the job's),
`fittrack:job:<id>:lease` (the owner), `fittrack:job:<id>:input` (sealed, gone when the job ends),
`fittrack:account:<keyed hash>` (the job that signs this Garmin account in),
`fittrack:idempotency:<keyed hash>` (hash: body, job, poll_token): both say nothing once the job is
gone.
All of them have a time to live. Every step is published on `CHANNEL` with the job id.
"""

import hmac
import time
import uuid
from dataclasses import dataclass, field
from typing import cast

from pydantic import SecretStr
from redis import Redis

from shared.audit import outbox as event_outbox
from shared.audit.events import Event
from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.secret import Sealable
from shared.crypto.tokens import new_token, token_hash
from shared.errors import (
    IdempotencyKeyReusedError,
    InternalJobError,
    JobLostError,
    JobNotFoundError,
    SealBrokenError,
    SignInInProgressError,
)
from shared.jobs import counters as tallies
from shared.jobs import events as job_events
from shared.jobs.states import (
    OUTCOME_TYPES,
    TRANSITIONS,
    Failure,
    JobKind,
    JobStage,
    JobStatus,
    Outcome,
)
from shared.origin import UNKNOWN, Origin
from shared.redis.connection import redis_errors_translated, script
from shared.timings import PRODUCTION, Timings

CHANNEL = "fittrack:jobs"
_TYPICAL_SIGN_IN_SECONDS = 5

_LOCKS = {JobKind.LOGIN: "alone", JobKind.MFA_COMPLETION: "mark"}
"""What a job does about its account: a login runs alone; a code is checked in any case, but no
login may start meanwhile, whose new code would make this one void."""


class JobBusyError(JobLostError):
    """Another worker holds the job's lease."""


@dataclass(frozen=True)
class NewJob:
    """A job as its submitter sees it. `expires_in` is in seconds.

    `unsent`: nobody has said yet that its message was sent.
    """

    job_id: str
    poll_token: SecretStr
    expires_in: int
    unsent: bool = True


@dataclass(frozen=True)
class Repeatable:
    """A submission that its client may send again: keyed hashes of its key and of its body."""

    name: str
    body: str


@dataclass(frozen=True)
class JobView:
    """A job as its poller sees it. `outcome` is there when it has ended."""

    job_id: str
    kind: JobKind
    status: JobStatus
    stage: JobStage
    outcome: Outcome | None


@dataclass(frozen=True)
class Claim:
    """A job as the worker that holds it sees it.

    `runs` counts the workers that have held it, this one included. `progress` is what an earlier
    one had already got from Garmin.
    """

    job_id: str
    owner: str
    kind: JobKind
    runs: int
    input: bytes | None = field(repr=False)
    progress: bytes | None = field(repr=False)
    origin: Origin = UNKNOWN
    poll_hash: str = field(default="", repr=False)

    @property
    def subject(self) -> str:
        return _subject(self.job_id, self.poll_hash)


class JobStore:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(
        self, redis: Redis, keyring: Keyring, ttl: int, timings: Timings = PRODUCTION
    ) -> None:
        self._redis = redis
        self._keyring = keyring
        self._ttl = ttl
        self._timings = timings
        self._create = script(redis, __package__, "job_create")
        self._confirm = script(redis, __package__, "job_confirm")
        self._discard = script(redis, __package__, "job_discard")
        self._forgotten = script(redis, __package__, "job_forgotten")
        self._claim = script(redis, __package__, "job_claim")
        self._move = script(redis, __package__, "job_move")
        self._renew = script(redis, __package__, "lease_renew")
        self._release = script(redis, __package__, "lease_release")

    @staticmethod
    def new_id() -> str:
        """A job id: public, it stands in logs and in Flower."""
        return str(uuid.uuid4())

    @redis_errors_translated
    def create(
        self,
        job_id: str,
        kind: JobKind,
        work: Sealable,
        origin: Origin = UNKNOWN,
        repeatable: Repeatable | None = None,
    ) -> NewJob:
        """Keeps a new job and, sealed, what its worker needs; or finds the one it repeats.

        Raises IdempotencyKeyReusedError, and SignInInProgressError for a login whose account has a
        job that runs.
        """
        poll_token, now = new_token(), _now_ms()
        fields = {
            "kind": kind,
            "status": JobStatus.QUEUED,
            "stage": JobStage.WAITING_FOR_WORKER,
            "poll_hash": token_hash(poll_token),
            "origin": origin.model_dump_json(exclude_none=True),
            "sent_at": now,
            "runs": 0,
        }
        subject = _subject(job_id, token_hash(poll_token))
        sealed = self._keyring.seal(work.reveal(), Purpose.JOB_INPUT, subject)
        lock = "" if origin.account is None else _LOCKS[kind]
        kept_token = b""
        if repeatable is not None:
            kept_token = self._keyring.seal(poll_token.encode(), Purpose.POLL_TOKEN, job_id)
        event = job_events.requested(job_id, kind, origin).model_dump_json(exclude_none=True)
        keys = [_job(job_id), _input(job_id), _account(origin.account or ""), event_outbox.KEY]
        flat = [str(part) for pair in fields.items() for part in pair]
        answer = self._create(
            keys=[_idempotency(repeatable), *keys],
            args=[
                repeatable.body if repeatable else "",
                _job(""),
                job_id,
                self._ttl * 1000,
                sealed,
                kept_token,
                lock,
                event,
                event_outbox.MAX_LENGTH,
                event_outbox.TTL,
                now,
                _ms(self._timings.unsent_job),
                *flat,
            ],
        )
        if answer[0] == b"busy":
            raise SignInInProgressError(_TYPICAL_SIGN_IN_SECONDS)
        return self._repeated(answer) or NewJob(job_id, SecretStr(poll_token), self._ttl)

    @redis_errors_translated
    def find_repeated(self, repeatable: Repeatable) -> NewJob | None:
        """The job that an earlier, equal submission has made. Raises IdempotencyKeyReusedError."""
        args = [repeatable.body, _job("")]
        return self._repeated(self._create(keys=[_idempotency(repeatable)], args=args))

    @redis_errors_translated
    def confirm(self, job_id: str) -> bool:
        """The job's message was sent: nobody takes it back any more. False if somebody has."""
        return bool(self._confirm(keys=[_job(job_id)]))

    def _repeated(self, answer: list[bytes]) -> NewJob | None:
        if answer[0] == b"other":
            raise IdempotencyKeyReusedError
        if answer[0] != b"same":
            return None
        _, known, sealed, ms_left, unsent = answer
        try:
            poll_token = self._keyring.open(sealed, Purpose.POLL_TOKEN, known.decode())
        except SealBrokenError:  # its key was dropped, or it is another job's
            raise IdempotencyKeyReusedError from None
        seconds = max(1, int(ms_left) // 1000)
        return NewJob(known.decode(), SecretStr(poll_token.decode()), seconds, bool(int(unsent)))

    @redis_errors_translated
    def discard(self, job_id: str) -> bool:
        """Takes back a job whose message may not have been sent.

        False if a worker has it already, or somebody else has sent the message.
        """
        return bool(self._discard(keys=[_job(job_id), _input(job_id)], args=[job_id]))

    @redis_errors_translated
    def is_forgotten(self, job_id: str) -> bool:
        """Whether its message has to be sent again, as nobody has the job. True for one caller.

        A worker that is killed between taking a message and noting that it has it takes it along.
        One that only waits in a long queue is sent twice: the second finds the job taken or ended.
        """
        times = (_now_ms(), _ms(self._timings.lost_message))
        return bool(self._forgotten(keys=[_job(job_id), _lease(job_id)], args=times))

    @redis_errors_translated
    def view(self, job_id: str, poll_token: str) -> JobView:
        """The job, for who holds its poll token. Raises JobNotFoundError otherwise."""
        fields = cast("dict[bytes, bytes]", self._redis.hgetall(_job(job_id)))
        expected = fields.get(b"poll_hash", b"")
        if not hmac.compare_digest(expected, token_hash(poll_token).encode()):
            raise JobNotFoundError
        status = JobStatus(fields[b"status"].decode())
        outcome: Outcome | None = None
        if status.ended:
            try:
                kind = OUTCOME_TYPES[status]
                subject = _subject(job_id, expected.decode())
                outcome = self._open(fields[b"outcome"], Purpose.JOB_OUTCOME, subject, kind)
            except SealBrokenError:  # its key was dropped, or it is another job's
                status, outcome = JobStatus.FAILED, Failure.of(InternalJobError())
        return JobView(
            job_id=job_id,
            kind=JobKind(fields[b"kind"].decode()),
            status=status,
            stage=JobStage(fields[b"stage"].decode()),
            outcome=outcome,
        )

    @redis_errors_translated
    def claim(self, job_id: str, owner: str) -> Claim:
        """Takes the job for `owner`, a name no other worker has.

        Raises JobNotFoundError when it is gone or has ended, JobBusyError while another holds it.
        """
        answer = self._claim(
            keys=[_job(job_id), _lease(job_id), _input(job_id)],
            args=[owner, _ms(self._timings.lease), CHANNEL, job_id],
        )
        if answer[0] == b"busy":
            raise JobBusyError
        if answer[0] != b"claimed":
            raise JobNotFoundError
        _, kind, runs, work, progress, origin, poll_hash = answer
        return Claim(
            job_id,
            owner,
            JobKind(kind.decode()),
            int(runs),
            work or None,
            progress or None,
            Origin.model_validate_json(origin),
            poll_hash.decode(),
        )

    def open_input[T: Sealable](self, claim: Claim, model: type[T]) -> T | None:
        """What the submitter gave; None if it is gone. Raises SealBrokenError."""
        return self._open(claim.input, Purpose.JOB_INPUT, claim.subject, model)

    def open_progress[T: Sealable](self, claim: Claim, model: type[T]) -> T | None:
        """What an earlier run had reached, if any. Raises SealBrokenError."""
        return self._open(claim.progress, Purpose.JOB_PROGRESS, claim.subject, model)

    @redis_errors_translated
    def renew(self, claim: Claim) -> bool:
        """Keeps the job for another lease; False if it is no longer the owner's."""
        lease_ms = _ms(self._timings.lease)
        keys = [_lease(claim.job_id), _job(claim.job_id)]
        return bool(self._renew(keys=keys, args=[claim.owner, lease_ms]))

    @redis_errors_translated
    def release(self, claim: Claim) -> None:
        """Gives the job back unfinished, for a later run."""
        self._release(keys=[_lease(claim.job_id)], args=[claim.owner])

    def advance(self, claim: Claim, stage: JobStage) -> None:
        """Says what the job is doing. Raises JobLostError if it is no longer the owner's."""
        self._apply(claim, JobStatus.RUNNING, {"stage": stage.encode()})

    def keep_progress(self, claim: Claim, stage: JobStage, progress: Sealable) -> None:
        """Seal what has been reached into the job. Raises JobLostError.

        The job then lives for `Timings.progress_ttl`, or for its usual time to live if longer.
        """
        sealed = self._keyring.seal(progress.reveal(), Purpose.JOB_PROGRESS, claim.subject)
        fields = {"stage": stage.encode(), "progress": sealed}
        least_ttl = max(self._timings.progress_ttl, self._ttl)
        self._apply(claim, JobStatus.RUNNING, fields, least_ttl)

    def end(self, claim: Claim, outcome: Outcome) -> str:
        """End the job and delete what was sealed for its worker; return its result code.

        The outcome can be polled for `Timings.outcome_ttl` at least, and no longer than a new job.
        The result code is the job's status, or the code of its error. Raises JobLostError.
        """
        sealed = self._keyring.seal(outcome.reveal(), Purpose.JOB_OUTCOME, claim.subject)
        status = next(s for s, kind in OUTCOME_TYPES.items() if isinstance(outcome, kind))
        result = outcome.code if isinstance(outcome, Failure) else status
        event = job_events.ended(claim.job_id, outcome, claim.origin)
        self._apply(claim, status, {"outcome": sealed}, self._timings.outcome_ttl, result, event)
        return str(result)

    @redis_errors_translated
    def _apply(
        self,
        claim: Claim,
        to: JobStatus,
        fields: dict[str, bytes],
        least_ttl: int = 0,
        result: str = "",
        event: Event | None = None,
    ) -> None:
        allowed = "".join(f"|{status}" for status in JobStatus if to in TRANSITIONS[status]) + "|"
        flat: list[str | bytes] = [part for pair in fields.items() for part in pair]
        times_to_live = (least_ttl * 1000, self._ttl * 1000)
        step = (claim.owner, allowed, to, int(to.ended), *times_to_live, CHANNEL)
        tally = (f"{claim.kind}:{result}", tallies.SECONDS)
        told = event.model_dump_json(exclude_none=True) if event else ""
        telling = (told, event_outbox.MAX_LENGTH, event_outbox.TTL)
        keys = [_job(claim.job_id), _lease(claim.job_id), _input(claim.job_id)]
        moved = self._move(
            keys=[*keys, tallies.KEY, event_outbox.KEY],
            args=[*step, claim.job_id, *tally, *telling, *flat],
        )
        if not moved:
            raise JobLostError

    def _open[T: Sealable](
        self, sealed: bytes | None, purpose: Purpose, subject: str, model: type[T]
    ) -> T | None:
        if sealed is None:
            return None
        return model.from_revealed(self._keyring.open(sealed, purpose, subject))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _job(job_id: str) -> str:
    return f"fittrack:job:{job_id}"


def _lease(job_id: str) -> str:
    return f"fittrack:job:{job_id}:lease"


def _input(job_id: str) -> str:
    return f"fittrack:job:{job_id}:input"


def _account(account: str) -> str:
    return f"fittrack:account:{account}"


def _idempotency(repeatable: Repeatable | None) -> str:
    return f"fittrack:idempotency:{repeatable.name if repeatable else ''}"


def _subject(job_id: str, poll_hash: str) -> str:
    """What a job holds is for whom it was made: who writes to Redis can't make it another's."""
    return f"{job_id}:{poll_hash}"
