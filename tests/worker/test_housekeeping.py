"""What a worker does beside its jobs, on both databases."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from shared.accounts.accounts import Accounts
from shared.accounts.cutoffs import SignInCutoffs
from shared.audit.events import Event, EventKind
from shared.audit.log import EventFilter, EventLog
from shared.audit.outbox import EventOutbox
from shared.clocks import Clocks
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.job_marks import JobMarks
from shared.database.models import AuthEvent, JobMark, SignInCutoff, UserSession
from shared.origin import UNKNOWN
from shared.redis.clock import ClockReports
from shared.redis.connection import Redis, connect
from tests.shared.samples import ANNA, garmin_tokens
from tests.webhook_outbox import App, move_clock
from worker.schedule import Housekeeping

DAYS, IDLE = 90, 3600


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def redis(real_redis_url: str) -> Iterator[Redis]:
    with connect(real_redis_url, timeout=30) as redis:
        yield redis


@pytest.fixture
def outbox(redis: Redis) -> EventOutbox:
    return EventOutbox(redis)


@pytest.fixture
def housekeeping(redis: Redis, outbox: EventOutbox, database: Database) -> Housekeeping:
    clocks = Clocks(ClockReports(redis), database, "test")
    return Housekeeping(outbox, database, DAYS, IDLE, clocks)


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


def test_deliveries_of_webhooks_are_deleted_after_30_days(
    housekeeping: Housekeeping, database: Database, keyring: Keyring
) -> None:
    app = App(database, keyring)
    app.add_endpoint()
    for member in ("first", "second"):
        app.connect(member)
        move_clock(database, timedelta(days=29, hours=23))
    housekeeping.delete_old()
    assert [user for _, user in app.told()] == ["second"]


def add_events(database: Database, number: int, days: float) -> None:
    row = {"at": days_ago(days), "kind": "signed_in", "outcome": "ok"}
    rows = [row | {"id": uuid.uuid4()} for _ in range(number)]
    database.run(lambda s: s.execute(insert(AuthEvent), rows))


def count_events(database: Database) -> int:
    def work(session: Session) -> int:
        return session.scalar(select(func.count()).select_from(AuthEvent)) or 0

    return database.run(work)


def test_what_is_old_is_deleted_batch_by_batch(
    housekeeping: Housekeeping, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.schedule._BATCH", 100)
    add_events(database, 350, DAYS + 1)
    add_events(database, 50, DAYS - 1)
    left: list[int] = []
    # Of this module alone: threads of other tests sleep as well.
    pause = SimpleNamespace(sleep=lambda _: left.append(count_events(database)))
    monkeypatch.setattr("worker.schedule.time", pause)
    housekeeping.delete_old()
    assert left == [300, 200, 100]
    assert count_events(database) == 50


def test_events_are_brought_while_old_ones_are_deleted(
    housekeeping: Housekeeping, database: Database, outbox: EventOutbox
) -> None:
    add_events(database, 4000, DAYS + 1)
    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(housekeeping.delete_old)
        while count_events(database) == 4000:
            pass
        outbox.add(Event.of(EventKind.RATE_LIMITED, UNKNOWN, "login-ip"))
        housekeeping.deliver_events()
        assert not deleting.done()
        deleting.result(60)
    assert count_events(database) == 1


def test_cutoffs_that_no_sign_in_can_meet_any_more_are_deleted(
    housekeeping: Housekeeping, database: Database, keyring: Keyring
) -> None:
    database.run(lambda s: SignInCutoffs(s, keyring).end_user(uuid.uuid4()))
    housekeeping.delete_old()
    query = select(func.count()).select_from(SignInCutoff)
    assert database.run(lambda s: s.scalar(query)) == 1
    database.run(lambda s: s.execute(update(SignInCutoff).values(at=days_ago(4))))
    housekeeping.delete_old()
    assert database.run(lambda s: s.scalar(query)) == 0


def test_marks_of_jobs_that_redis_has_forgotten_are_deleted(
    housekeeping: Housekeeping, database: Database
) -> None:
    for job_id, days in (("old", 4), ("new", 2)):
        database.run(lambda s, job_id=job_id: JobMarks(s).end_all([job_id]))  # type: ignore[misc]
        change = update(JobMark).where(JobMark.job_id == job_id).values(at=days_ago(days))
        database.run(lambda s, change=change: s.execute(change))  # type: ignore[misc]
    housekeeping.delete_old()
    assert database.run(lambda s: s.scalars(select(JobMark.job_id)).all()) == ["new"]


@pytest.mark.parametrize("days", [-100, 100])
def test_a_process_whose_clock_is_wrong_deletes_nothing(
    redis: Redis, database: Database, outbox: EventOutbox, days: int
) -> None:
    clocks = Clocks(ClockReports(redis), database, "test", lambda: time.time() + days * 86_400)
    add_events(database, 3, 10)
    add_events(database, 2, DAYS + 1)
    Housekeeping(outbox, database, DAYS, IDLE, clocks).delete_old()
    assert count_events(database) == 5


def test_all_events_in_the_outbox_are_moved_to_the_database(
    housekeeping: Housekeeping, database: Database, outbox: EventOutbox
) -> None:
    events = [Event.of(EventKind.RATE_LIMITED, UNKNOWN, "login-ip") for _ in range(250)]
    for event in events:
        outbox.add(event)
    housekeeping.deliver_events()
    found = database.run(lambda s: EventLog(s).newest(EventFilter(), 1000))
    assert {event.id for event in found} == {event.id for event in events}
