"""Reading a job for its poller, on the event loop: a hop to a thread costs more than the read."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from api.async_redis import AbstractConnection, ConnectionPool, RedisTurns, Retry
from shared.crypto.keyring import Keyring
from shared.jobs.keys import JobKeys
from shared.jobs.states import JobStatus
from shared.jobs.views import VIEWED, JobView, named, view_job
from shared.keyspace import KeySpace
from shared.timings import PRODUCTION, Timings


class JobPolls:
    def __init__(
        self, redis_url: str, keyspace: KeySpace, keyring: Keyring, timings: Timings = PRODUCTION
    ) -> None:
        self._keys = JobKeys(keyspace)
        self._keyring = keyring
        self._turns = RedisTurns(timings)
        self._free: list[AbstractConnection] = []
        # No timeouts of its own, of which each command would set up four: `turn` has one.
        self._pool = ConnectionPool.from_url(
            redis_url,
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=30,
        )

    async def view(self, job_id: str, poll_token: str) -> JobView:
        """Return the job. Raises JobNotFoundError, ServiceUnavailableError."""
        return view_job(self._keyring, job_id, poll_token, await self._read(job_id, VIEWED))

    async def has_ended(self, job_id: str) -> bool:
        """Return whether a job of the service's own has ended. Raises ServiceUnavailableError."""
        text = (await self._read(job_id, ("status",)))["status"].decode(errors="replace")
        return text not in JobStatus or JobStatus(text).ended

    async def close(self) -> None:
        for connection in self._free:
            await connection.disconnect()

    async def _read(self, job_id: str, names: Sequence[str]) -> dict[str, bytes]:
        """Return fields of a job, empty where there are none. Raises ServiceUnavailableError."""
        async with self._turns.turn():
            return named(names, await self._ask("HMGET", self._keys.job(job_id), *names))

    async def _ask(self, *command: str) -> Any:  # noqa: ANN401 - as Redis answers
        """Send a command that may be sent twice; return its answer. Raises RedisError.

        The library's client would take twice as long to get a connection, and to give it back.
        """
        while self._free:  # may be left over from before Redis was restarted
            with suppress(RedisConnectionError):
                return await self._ask_over(self._free.pop(), *command)
        made = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return await self._ask_over(made, *command)

    async def _ask_over(self, connection: AbstractConnection, *command: str) -> Any:  # noqa: ANN401
        try:
            await connection.send_command(*command)
            answer = await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._free.append(connection)
        return answer
