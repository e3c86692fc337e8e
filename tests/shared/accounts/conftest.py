"""The repositories and `Accounts` over a migrated database."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from shared.accounts.accounts import Accounts, StoredSignIn
from shared.accounts.clients import ClientRepository
from shared.accounts.sessions import SessionRepository, SessionView
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.errors import UnauthorizedError
from shared.garmin.types import GarminIdentity, GarminTokens
from shared.origin import UNKNOWN, Origin
from tests.shared.samples import ANNA, garmin_tokens

SESSION_TTL = 3600


class Repositories:
    """Each call runs in a transaction of its own."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self.keyring = keyring
        self.accounts = Accounts(database, keyring, SESSION_TTL)

    def sign_in(
        self,
        identity: GarminIdentity = ANNA,
        tokens: GarminTokens | None = None,
        session_id: uuid.UUID | None = None,
        access_token: str | None = None,
        origin: Origin = UNKNOWN,
    ) -> StoredSignIn:
        return self.accounts.store(
            identity,
            tokens or garmin_tokens(),
            session_id or uuid.uuid4(),
            SecretStr(access_token or new_token()),
            origin,
        )

    def tokens[T](self, work: Callable[[TokenRepository], T]) -> T:
        return self.database.run(lambda s: work(TokenRepository(s, self.keyring)))

    def load_tokens(self, user_id: uuid.UUID) -> GarminTokens | None:
        return self.tokens(lambda tokens: tokens.load(user_id))

    def sessions[T](self, work: Callable[[SessionRepository], T]) -> T:
        return self.database.run(lambda s: work(SessionRepository(s)))

    def clients[T](self, work: Callable[[ClientRepository], T]) -> T:
        return self.database.run(lambda s: work(ClientRepository(s)))

    def find_session(self, access_token: str) -> SessionView:
        return self.sessions(lambda sessions: sessions.find(access_token))

    def is_valid(self, access_token: str) -> bool:
        try:
            self.find_session(access_token)
        except UnauthorizedError:
            return False
        return True

    def count(self, *tables: Any) -> list[int]:  # noqa: ANN401 - mapped classes
        """Return how many rows each table has."""
        queries = [select(func.count()).select_from(table) for table in tables]
        return self.database.run(lambda s: [s.scalar(query) or 0 for query in queries])


@pytest.fixture
def repos(database: Database, keyring: Keyring) -> Repositories:
    return Repositories(database, keyring)
