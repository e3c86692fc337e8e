"""Requests of apps for tokens: a fresh one takes one SELECT, one call of Redis and no thread."""

import uuid
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from api.async_redis import AsyncRedis, AsyncScript
from api.client_keys import ClientKeys
from api.reads import Reads
from shared.broker.counting import TokenReads
from shared.broker.tokens import (
    OF_CLIENT,
    Connection,
    TokenBroker,
    Wanted,
    is_fresh,
    requires_sign_in,
)
from shared.crypto.tokens import token_hash
from shared.origin import Origin
from shared.redis.rate_limits import RateLimitedError


@dataclass(frozen=True)
class ClientRead:
    """What an app has asked for. `is_recorded`: its token is fresh, and may be handed out now."""

    origin: Origin
    connection: Connection
    is_recorded: bool


class TokenRequests:
    def __init__(
        self,
        keys: ClientKeys,
        reads: Reads,
        broker: TokenBroker,
        counted: TokenReads,
        redis: AsyncRedis,
    ) -> None:
        self._keys = keys
        self._reads = reads
        self._broker = broker
        self._counted = counted
        self._redis = redis
        self._step = AsyncScript(redis, *TokenReads.SCRIPT)

    async def read(
        self, key: str, client_user_id: str, origin: Origin, wanted: Wanted, patience: float
    ) -> ClientRead:
        """Read a connection; a fresh token is counted and recorded.

        Raises RateLimitedError, UnknownClientError, ScopeMissingError, LinkNotFoundError,
        ServiceUnavailableError.
        """
        client_id, connection = await self.find(key, client_user_id, origin, patience)
        of_client = {"client_id": client_id, "client_user_id": client_user_id}
        origin = origin.model_copy(update=of_client)
        fresh = not requires_sign_in(connection) and is_fresh(connection, wanted)
        try:
            if fresh:
                self._counted.judge(await self._step(*self._counted.step(origin, connection)))
            else:
                await run_in_threadpool(self._counted.hit, origin)
        except RateLimitedError as refusal:
            await run_in_threadpool(self._counted.record_refusal, origin, refusal)
            raise
        return ClientRead(origin, connection, fresh)

    async def find(
        self, key: str, client_user_id: str, origin: Origin, patience: float
    ) -> tuple[uuid.UUID, Connection]:
        """Return the app and its connection; count nothing.

        Raises what `read` raises.
        """

        async def work() -> tuple[uuid.UUID, Connection]:
            values = {"key_hash": token_hash(key), "client_user_id": client_user_id}
            return self._broker.of_client(await self._reads.first(OF_CLIENT, values, patience))

        return await self._keys.guard(key, origin.address or "", work)

    async def record(self, origin: Origin, connection: Connection) -> None:
        """Record who gets a token that was not fresh at first."""
        await run_in_threadpool(self._counted.record, origin, connection)

    async def close(self) -> None:
        await self._reads.close()
        await self._redis.close()
