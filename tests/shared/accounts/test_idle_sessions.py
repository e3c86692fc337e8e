"""Unused sessions end; uses are written at most once a minute."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.accounts.accounts import Accounts
from shared.accounts.sessions import SessionRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import UserSession
from shared.errors import UnauthorizedError
from tests.shared.samples import ANNA, at_once, garmin_tokens

IDLE = 600


class OneSession:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self.session_id, self.token = uuid.uuid4(), new_token()
        accounts = Accounts(database, keyring, session_ttl=86_400)
        accounts.store(ANNA, garmin_tokens(), self.session_id, SecretStr(self.token))

    def use(self) -> None:
        """Raises UnauthorizedError."""
        self.database.run(lambda s: SessionRepository(s, IDLE).find(self.token))

    def row(self) -> UserSession:
        def work(session: Session) -> UserSession:
            return session.scalars(select(UserSession)).one()

        return self.database.run(work)

    def change(self, **values: Any) -> None:  # noqa: ANN401 - columns
        self.database.run(lambda s: s.execute(update(UserSession).values(**values)))


@pytest.fixture
def one(database: Database, keyring: Keyring) -> OneSession:
    return OneSession(database, keyring)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_an_unused_session_ends(one: OneSession) -> None:
    one.change(last_seen_at=ago(IDLE - 30))
    one.use()
    one.change(last_seen_at=ago(IDLE + 1))
    with pytest.raises(UnauthorizedError):
        one.use()


def test_using_a_session_prolongs_it(one: OneSession) -> None:
    one.change(last_seen_at=ago(IDLE - 30))
    one.use()
    assert one.row().last_seen_at > ago(60)


def test_using_a_session_does_not_prolong_it_past_its_expiry(one: OneSession) -> None:
    one.change(created_at=ago(7200), expires_at=ago(1))
    with pytest.raises(UnauthorizedError):
        one.use()


def test_a_use_within_the_same_minute_is_not_written(one: OneSession) -> None:
    seen = ago(50)
    one.change(last_seen_at=seen)
    one.use()
    assert one.row().last_seen_at == seen


def test_concurrent_uses_are_written_once(one: OneSession) -> None:
    one.change(last_seen_at=ago(90))
    assert at_once(lambda _: one.use(), threads=8) == [None] * 8
    first = one.row().last_seen_at
    at_once(lambda _: one.use(), threads=8)
    assert one.row().last_seen_at == first
