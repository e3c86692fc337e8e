"""Connections are counted once for the whole service, and not by a scrape."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from shared.accounts.states import ConnectionState, Method
from shared.accounts.tokens import TokenRepository
from shared.broker.connection_counts import ConnectionCounts
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken, User
from shared.errors import ServiceUnavailableError
from shared.redis.connection import Redis
from tests.shared.samples import garmin_tokens, keys_that_never_expire


def store(database: Database, keyring: Keyring, method: Method = Method.PASSWORD) -> uuid.UUID:
    user_id, now = uuid.uuid4(), datetime.now(UTC)

    def work(session: Session) -> uuid.UUID:
        user = User(id=user_id, garmin_guid=user_id.hex, domain="garmin.com", display_name="Anna")
        user.created_at = user.updated_at = now
        session.add(user)
        session.flush()
        return TokenRepository(session, keyring).save(user_id, garmin_tokens(), method).token_id

    return database.run(work)


def change(database: Database, token_id: uuid.UUID, **values: object) -> None:
    statement = update(GarminToken).where(GarminToken.id == token_id).values(**values)
    database.run(lambda session: session.execute(statement))


def test_connections_are_counted_by_state_and_method(
    redis: Redis, database: Database, keyring: Keyring
) -> None:
    counts = ConnectionCounts(redis)
    assert counts.read() is None
    for method in (Method.PASSWORD, Method.PASSWORD, Method.IMPORT):
        store(database, keyring, method)
    change(database, store(database, keyring), state="sign_in_required", state_reason="expired")
    assert counts.renew(database)
    counted = counts.read()
    assert counted is not None
    assert counted.by_state == {
        (ConnectionState.ACTIVE, Method.PASSWORD): 2,
        (ConnectionState.ACTIVE, Method.IMPORT): 1,
        (ConnectionState.SIGN_IN_REQUIRED, Method.PASSWORD): 1,
    }
    assert counted.oldest_due == 0
    assert keys_that_never_expire(redis) == []


def test_the_oldest_due_refresh_is_told_unless_it_can_not_be_made(
    redis: Redis, database: Database, keyring: Keyring
) -> None:
    first, second, third = (store(database, keyring) for _ in range(3))
    now = datetime.now(UTC)
    change(database, first, refresh_due_at=now - timedelta(minutes=5))
    change(database, second, refresh_due_at=now - timedelta(minutes=9), state="expiring")
    dead = {"state": "sign_in_required", "state_reason": "rejected"}
    change(database, third, refresh_due_at=now - timedelta(days=9), **dead)
    counts = ConnectionCounts(redis)
    counts.renew(database)
    counted = counts.read()
    assert counted is not None
    assert counted.oldest_due == pytest.approx(540, abs=30)


def test_one_worker_counts_for_all(redis: Redis, database: Database) -> None:
    assert [ConnectionCounts(redis).renew(database) for _ in range(3)] == [True, False, False]


def test_a_count_that_failed_is_made_again_at_once(redis: Redis, database: Database) -> None:
    away = Database("postgresql+psycopg://x:x@127.0.0.1:1/x")
    with pytest.raises(ServiceUnavailableError):
        ConnectionCounts(redis).renew(away)
    away.close()
    assert ConnectionCounts(redis).renew(database)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_connections_are_counted_from_an_index_alone(
    redis: Redis, database: Database, keyring: Keyring
) -> None:
    """SQLite says how it reads; PostgreSQL does so once there are more rows than in a test."""
    store(database, keyring)
    statements: list[str] = []

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = database.run(lambda session: session.get_bind())
    event.listen(engine, "before_cursor_execute", note)
    ConnectionCounts(redis).renew(database)
    event.remove(engine, "before_cursor_execute", note)
    [count, *_] = [text for text in statements if "count(" in text]

    def plan(session: Session) -> str:
        rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {count}")
        return " ".join(str(row) for row in rows)

    assert "COVERING INDEX ix_garmin_tokens_state_method" in database.run(plan)
