"""Which app a client key belongs to, and how often a sender may be wrong about that."""

import re
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api.database import AsyncDatabase
from api.http.networks import NetworkLimit
from shared.accounts.clients import ClientRepository, ClientView, Scope
from shared.crypto.tokens import token_hash
from shared.errors import UnknownClientError

_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
_REMEMBERED = 1000


class ClientKeys:
    """Looks keys up in the database; `wrong_keys` limits the wrong ones of one network.

    A key that was valid a moment ago is looked up again each time, but not held back by the wrong
    keys of others who share its network.
    """

    def __init__(self, database: AsyncDatabase, wrong_keys: NetworkLimit) -> None:
        self._database = database
        self._wrong_keys = wrong_keys
        self._valid: OrderedDict[str, None] = OrderedDict()

    async def client_id(self, key: str, address: str, scope: Scope) -> uuid.UUID:
        """Return the app's id. Raises ScopeMissingError, and what `run` raises."""

        def checked(_: Session, client: ClientView) -> uuid.UUID:
            client.check(scope)
            return client.client_id

        return await self.run(key, address, checked)

    async def run[T](
        self,
        key: str,
        address: str,
        work: Callable[[Session, ClientView], T],
        patience: float | None = None,
    ) -> T:
        """Run `work` for the app with this key, in the transaction that looks the key up.

        Raises what `guard` raises, and ServiceUnavailableError. `patience` is that of
        `AsyncDatabase.run`.
        """

        def find_and_work(session: Session) -> T:
            return work(session, ClientRepository(session).find(key))

        return await self.guard(key, address, lambda: self._database.run(find_and_work, patience))

    async def guard[T](self, key: str, address: str, work: Callable[[], Awaitable[T]]) -> T:
        """Await `work`, which looks the key up, and raises UnknownClientError if there is none.

        Raises that also for what can't be a key, and RateLimitedError after too many wrong keys.
        """
        if not _KEY.fullmatch(key):
            raise UnknownClientError
        hashed = token_hash(key)
        if hashed not in self._valid:
            await run_in_threadpool(self._check_wrong, address)
        try:
            result = await work()
        except UnknownClientError:
            self._valid.pop(hashed, None)
            await run_in_threadpool(self._count_wrong, address)
            raise
        self._remember(hashed)
        return result

    def _check_wrong(self, address: str) -> None:
        for limit, sender in self._wrong_keys.parts(address):
            limit.check(sender)

    def _count_wrong(self, address: str) -> None:
        for limit, sender in self._wrong_keys.parts(address):
            limit.count(sender)

    def _remember(self, hashed: str) -> None:
        self._valid[hashed] = None
        self._valid.move_to_end(hashed)
        if len(self._valid) > _REMEMBERED:
            self._valid.popitem(last=False)
