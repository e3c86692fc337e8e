"""What a worker does beside its jobs, on both databases."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.accounts.accounts import Accounts
from shared.audit.events import Event, EventKind
from shared.audit.log import EventFilter, EventLog
from shared.audit.outbox import EventOutbox
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import UserSession
from shared.origin import UNKNOWN
from shared.redis.connection import connect
from tests.shared.samples import ANNA, garmin_tokens
from worker.schedule import Housekeeping

DAYS, IDLE = 90, 3600


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def outbox(real_redis_url: str) -> Iterator[EventOutbox]:
    with connect(real_redis_url, timeout=30) as redis:
        yield EventOutbox(redis)


@pytest.fixture
def housekeeping(outbox: EventOutbox, database: Database) -> Housekeeping:
    return Housekeeping(outbox, database, DAYS, IDLE)


def count(database: Database) -> int:
    def work(session: Session) -> int:
        return session.scalar(select(func.count()).select_from(UserSession)) or 0

    return database.run(work)


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


@pytest.mark.parametrize(
    ("over", "kept"),
    [
        ({}, True),
        ({"revoked_at": days_ago(DAYS - 1)}, True),
        ({"revoked_at": days_ago(DAYS + 1)}, False),
        ({"created_at": days_ago(DAYS + 9), "expires_at": days_ago(DAYS + 1)}, False),
        ({"created_at": days_ago(DAYS + 9), "expires_at": days_ago(DAYS - 1)}, True),
        ({"last_seen_at": days_ago(DAYS + 1)}, False),
    ],
)
def test_ended_sessions_past_their_retention_are_deleted(
    housekeeping: Housekeeping,
    database: Database,
    keyring: Keyring,
    over: dict[str, datetime],
    kept: bool,
) -> None:
    accounts = Accounts(database, keyring, session_ttl=86_400 * 1000)
    accounts.store(ANNA, garmin_tokens(), uuid.uuid4(), SecretStr(new_token()))
    if over:
        database.run(lambda s: s.execute(update(UserSession).values(**over)))
    housekeeping.delete_old()
    assert count(database) == int(kept)


def test_all_events_in_the_outbox_are_moved_to_the_database(
    housekeeping: Housekeeping, database: Database, outbox: EventOutbox
) -> None:
    events = [Event.of(EventKind.RATE_LIMITED, UNKNOWN, "login-ip") for _ in range(250)]
    for event in events:
        outbox.add(event)
    housekeeping.deliver_events()
    found = database.run(lambda s: EventLog(s).newest(EventFilter(), 1000))
    assert {event.id for event in found} == {event.id for event in events}
