"""The tables reject invalid rows, whoever writes them."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, delete, event, insert, select
from sqlalchemy.exc import IntegrityError

from shared.database.engine import Database
from shared.database.models import GarminToken, User, UserSession

NOW = datetime.now(UTC)
ANNA = uuid.uuid4()


def user(**changes: object) -> dict[str, Any]:
    return {
        "id": ANNA,
        "garmin_guid": "guid",
        "domain": "garmin.com",
        "display_name": "Anna",
        "created_at": NOW,
        "updated_at": NOW,
    } | changes


def token(**changes: object) -> dict[str, Any]:
    return {
        "id": uuid.uuid4(),
        "user_id": ANNA,
        "access": "read_write",
        "method": "password",
        "generation": 1,
        "state": "active",
        "state_since": NOW,
        "refresh_due_at": NOW,
        "driver": "garth",
        "key_id": "a",
        "ciphertext": b"sealed",
        "access_expires_at": NOW,
        "refresh_expires_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    } | changes


def user_session(**changes: object) -> dict[str, Any]:
    return {
        "id": uuid.uuid4(),
        "user_id": ANNA,
        "token_hash": "a" * 64,
        "created_at": NOW,
        "last_seen_at": NOW,
        "expires_at": NOW + timedelta(days=1),
        "revoked_at": None,
    } | changes


@pytest.fixture
def rows(database_url: str) -> Iterator[Connection]:
    """A connection of a plain engine, with one valid row in each table."""
    engine = create_engine(database_url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys = ON"))
    with engine.connect() as connection:
        connection.execute(insert(User).values(user()))
        connection.execute(insert(GarminToken).values(token()))
        connection.execute(insert(UserSession).values(user_session()))
        yield connection
    engine.dispose()


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (User, user(id=uuid.uuid4())),
        (User, user(garmin_guid="other")),
        (User, user(id=uuid.uuid4(), garmin_guid="")),
        (User, user(id=uuid.uuid4(), domain="garmin.de")),
        (User, user(id=uuid.uuid4(), garmin_guid=None)),
        (User, user(id=uuid.uuid4(), garmin_guid="other", display_name=None)),
        (GarminToken, token()),
        (GarminToken, token(user_id=uuid.uuid4())),
        (UserSession, user_session()),
        (UserSession, user_session(token_hash="b" * 63)),
        (UserSession, user_session(token_hash="b" * 64, user_id=uuid.uuid4())),
        (UserSession, user_session(token_hash="b" * 64, expires_at=NOW)),
        (UserSession, user_session(token_hash="b" * 64, expires_at=None)),
    ],
)
def test_an_invalid_row_is_rejected(rows: Connection, table: type, values: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        rows.execute(insert(table).values(values))


@pytest.mark.parametrize(
    "changes",
    [
        {"ciphertext": b""},
        {"driver": ""},
        {"ciphertext": None},
        {"key_id": None},
        {"access": "write"},
        {"method": "guess"},
        {"generation": 0},
        {"state": "dead"},
        {"state_reason": "bored"},
    ],
)
def test_invalid_tokens_are_rejected(rows: Connection, changes: dict[str, Any]) -> None:
    bob = uuid.uuid4()
    rows.execute(insert(User).values(user(id=bob, garmin_guid="bob")))
    with pytest.raises(IntegrityError):
        rows.execute(insert(GarminToken).values(token(user_id=bob, **changes)))


def test_the_same_guid_in_another_domain_is_another_user(rows: Connection) -> None:
    rows.execute(insert(User).values(user(id=uuid.uuid4(), domain="garmin.cn")))
    assert len(rows.execute(select(User.id)).all()) == 2


def test_deleting_a_user_deletes_tokens_and_sessions(rows: Connection) -> None:
    rows.execute(delete(User))
    assert rows.execute(select(GarminToken.user_id)).all() == []
    assert rows.execute(select(UserSession.id)).all() == []


def test_the_services_engine_enforces_foreign_keys(database: Database) -> None:
    def orphan(kind: type[GarminToken | UserSession], values: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError):  # not a conflict, so not retried
            database.run(lambda session: session.execute(insert(kind).values(values)))

    orphan(GarminToken, token())
    orphan(UserSession, user_session())


def test_datetimes_are_read_back_in_utc(database: Database) -> None:
    elsewhere = NOW.astimezone(datetime.strptime("+0900", "%z").tzinfo)
    database.run(lambda s: s.execute(insert(User).values(user(created_at=elsewhere))))
    row = database.run(lambda s: s.execute(select(User)).scalar_one())
    assert row.created_at == NOW
    assert row.created_at.utcoffset() == timedelta(0)
