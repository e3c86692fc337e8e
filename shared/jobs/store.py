"""Jobs as their submitters see them: created, confirmed, discarded."""

import uuid
from typing import Any, cast

from pydantic import SecretStr

from shared.audit import outbox
from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.secret import Sealable
from shared.crypto.tokens import new_token, token_hash
from shared.errors import SignInInProgressError
from shared.jobs import events
from shared.jobs.keys import JobKeys, ms, subject
from shared.jobs.kinds import KINDS
from shared.jobs.repeats import NewJob, Repeatable, repeated_job
from shared.jobs.states import JobKind, JobStage, JobStatus, RefreshRequest
from shared.jobs.views import VIEWED, JobView, named, view_job
from shared.origin import UNKNOWN, Origin
from shared.redis.clock import redis_ms
from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.timings import PRODUCTION, Timings

_TYPICAL_SIGN_IN_SECONDS = 5


class JobStore:
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
        self._create = LuaScript(redis, __package__, "job_create")
        self._confirm = LuaScript(redis, __package__, "job_confirm")
        self._discard = LuaScript(redis, __package__, "job_discard")

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
        poll_token: SecretStr | None = None,
    ) -> NewJob:
        """Create a job with, sealed, what its worker needs; or find the one that is repeated.

        Raises IdempotencyKeyReusedError, and SignInInProgressError if the kind runs alone and
        another job holds its account or, for a refresh, its tokens.
        """
        row = KINDS[kind]
        token = new_token() if poll_token is None else poll_token.get_secret_value()
        poll_hash = token_hash(token)
        if origin.began_at is None:  # a code's sign-in has begun already
            origin = origin.model_copy(update={"began_at": redis_ms(self._redis)})
        origin_json = origin.model_dump_json(exclude_none=True)
        bound_to = subject(job_id, poll_hash, origin_json)
        sealed = self._keyring.seal(work.reveal(), row.input, bound_to)
        kept_token = None
        if repeatable is not None:
            kept_token = self._keyring.seal(token.encode(), Purpose.POLL_TOKEN, job_id)
        event = events.requested(job_id, kind, origin)
        answer = self._create(
            self._keys.idempotency(repeatable.name if repeatable else ""),
            self._keys.job(job_id),
            self._keys.input(job_id),
            self._lock(work, origin) or self._keys.account(None),
            self._events,
            self._keys.queued(row.queue),
            **self._repeat_arguments(repeatable),
            job_id=job_id,
            fields={
                "kind": kind,
                "status": JobStatus.QUEUED,
                "stage": JobStage.WAITING_FOR_WORKER,
                "poll_hash": poll_hash,
                "origin": origin_json,
                "runs": 0,
            },
            input=sealed,
            poll_token=kept_token,
            ttl=ms(self._ttl),
            lock=None if self._lock(work, origin) is None else row.account_lock,
            unsent_for=ms(self._timings.unsent_job),
            event=event.model_dump_json(exclude_none=True) if event else None,
            event_limit=outbox.MAX_LENGTH,
            event_ttl=outbox.TTL,
        )
        if answer[0] == b"busy":
            raise SignInInProgressError(_TYPICAL_SIGN_IN_SECONDS, answer[1].decode())
        known = repeated_job(self._keyring, answer)
        return known or NewJob(job_id, SecretStr(token), self._ttl)

    @redis_errors_translated
    def find_repeated(self, repeatable: Repeatable) -> NewJob | None:
        """Return the job of an earlier, equal submission. Raises IdempotencyKeyReusedError."""
        key = self._keys.idempotency(repeatable.name)
        return repeated_job(self._keyring, self._create(key, **self._repeat_arguments(repeatable)))

    @redis_errors_translated
    def view(self, job_id: str, poll_token: str) -> JobView:
        """Return a job, for who holds its poll token. Raises JobNotFoundError.

        The API reads the same on its event loop.
        """
        values = cast("list[bytes | None]", self._redis.hmget(self._keys.job(job_id), VIEWED))
        return view_job(self._keyring, job_id, poll_token, named(VIEWED, values))

    @redis_errors_translated
    def confirm(self, job_id: str) -> bool:
        """Note that the job's message was sent.

        From then on the job can't be discarded, and the sweep checks its message. Return False if
        it was discarded already.
        """
        confirmed = self._confirm(
            self._keys.job(job_id),
            self._keys.open,
            job_id=job_id,
            look_after=ms(self._timings.lost_message),
            open_ttl=ms(self._ttl + self._timings.progress_ttl),
        )
        return bool(confirmed)

    @redis_errors_translated
    def discard(self, job_id: str) -> bool:
        """Delete a job whose message may not have been sent.

        Return False if a worker has claimed it, or an equal submission has sent the message.
        """
        return bool(self._discard(self._keys.job(job_id), self._keys.input(job_id), job_id=job_id))

    def _lock(self, work: Sealable, origin: Origin) -> str | None:
        """Return the key that a job of the kind `ALONE` holds while it runs."""
        if isinstance(work, RefreshRequest):
            return self._keys.token(str(work.token_id))
        return None if origin.account is None else self._keys.account(origin.account)

    def _repeat_arguments(self, repeatable: Repeatable | None) -> dict[str, Any]:
        return {"jobs": self._keys.jobs, "body": repeatable.body if repeatable else None}
