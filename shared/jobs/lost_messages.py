"""Finds jobs whose message got lost, and sends it again.

A worker that is killed between taking a message and claiming its job takes the message along. Such
a job is open, no worker holds it, and the broker has no message for it. A job that only waits in a
long queue still has its message, and is left alone.
"""

from itertools import batched
from typing import cast

from shared.jobs.keys import JobKeys, ms
from shared.jobs.kinds import KINDS
from shared.jobs.queue import JobQueue, QueuedMessages
from shared.jobs.states import JobKind
from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.timings import PRODUCTION, Timings

_LIMIT = 1000


class LostMessages:
    """Safe to use from any number of workers: each job is looked at by one of them at a time."""

    def __init__(
        self,
        redis: Redis,
        messages: QueuedMessages,
        queue: JobQueue,
        timings: Timings = PRODUCTION,
    ) -> None:
        self._keys = JobKeys(redis.keyspace)
        self._messages = messages
        self._queue = queue
        self._timings = timings
        self._unheld = LuaScript(redis, __package__, "jobs_unheld")

    def resend(self) -> list[str]:
        """Send the messages that are lost; return their job ids.

        Raises ServiceUnavailableError. What was not sent is looked at again later.
        """
        unheld = self._find_unheld()
        if not unheld:
            return []
        known = self._messages.job_ids()
        lost = {job_id: kind for job_id, kind in unheld.items() if job_id not in known}
        for job_id, kind in lost.items():
            self._queue.put(kind, job_id)
        return list(lost)

    @redis_errors_translated
    def _find_unheld(self) -> dict[str, JobKind]:
        keys, look_after = self._keys, ms(self._timings.lost_message)
        answer = cast(
            "list[bytes]",
            self._unheld(keys.open, jobs=keys.jobs, limit=_LIMIT, look_after=look_after),
        )
        pairs = [(job_id.decode(), kind.decode()) for job_id, kind in batched(answer, 2)]
        return {job_id: JobKind(kind) for job_id, kind in pairs if kind in KINDS}
