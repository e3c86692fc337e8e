"""The audit log on both databases, and its delivery through Redis."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from shared.accounts.accounts import Accounts
from shared.accounts.sessions import SessionRepository
from shared.accounts.tokens import TokenRepository
from shared.audit.delivery import deliver
from shared.audit.events import Event, EventKind
from shared.audit.log import EventFilter, EventLog
from shared.audit.outbox import EventOutbox
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.errors import AccountLockedError, MfaCodeInvalidError, ServiceUnavailableError
from shared.jobs.states import CodeRequested, Failure, JobKind, Outcome, Success
from shared.origin import Origin
from shared.redis.connection import Redis
from tests.databases import alembic, execute
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import (
    ACCESS_TOKEN,
    ANNA,
    CHALLENGE_ID,
    CREDENTIALS,
    SECRETS,
    SUBMISSION,
    at_once,
    garmin_tokens,
    keys_that_never_expire,
)

ORIGIN = Origin(
    account="hash-of-anna", client_id=uuid.uuid4(), address="192.0.2.7", request_id="request-1"
)
NO_APP = ORIGIN.model_copy(update={"client_id": None})
USER, SESSION = uuid.uuid4(), uuid.uuid4()
OUTCOMES: list[tuple[Outcome, EventKind, str]] = [
    (
        Success(
            session_id=str(SESSION),
            access_token=SecretStr(ACCESS_TOKEN),
            session_expires_at=datetime.now(UTC),
            user_id=str(USER),
            display_name="Anna",
        ),
        EventKind.SIGNED_IN,
        "ok",
    ),
    (
        CodeRequested(
            challenge_id=SecretStr(CHALLENGE_ID),
            mfa_type="email",
            mfa_destination="an***@example.com",
            expires_at=datetime.now(UTC),
            attempts_left=3,
        ),
        EventKind.CODE_REQUESTED,
        "email",
    ),
    (Failure.of(MfaCodeInvalidError()), EventKind.CODE_WRONG, "mfa_code_invalid"),
    (Failure.of(AccountLockedError()), EventKind.SIGN_IN_FAILED, "account_locked"),
]
ALL = EventFilter()


class Log:
    def __init__(self, database: Database) -> None:
        self.database = database

    def append(self, *events: Event) -> None:
        self.database.run(lambda session: EventLog(session).append(*events))

    def read(self, filters: EventFilter = ALL, limit: int = 1000) -> list[Event]:
        """Return matching events, oldest first."""
        newest = self.database.run(lambda session: EventLog(session).newest(filters, limit))
        return newest[::-1]


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


@pytest.fixture
def outbox(redis: Redis) -> EventOutbox:
    return EventOutbox(redis)


@pytest.fixture
def sqlite_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """For tests of Redis, where one database is enough."""
    url = f"sqlite:///{tmp_path}/events.db"
    monkeypatch.setenv("FITTRACK_DATABASE_URL", url)
    command.upgrade(alembic(), "head")
    log = Log(Database(url))
    yield log
    log.database.close()


def event(kind: EventKind = EventKind.SIGNED_IN, days_ago: float = 0) -> Event:
    created = Event.of(kind, ORIGIN, user_id=USER, session_id=SESSION, job_id="job-1")
    return created.model_copy(update={"at": datetime.now(UTC) - timedelta(days=days_ago)})


def test_an_event_is_read_back_unchanged(log: Log) -> None:
    written = event()
    log.append(written)
    assert log.read() == [written]


def test_events_are_filtered(log: Log) -> None:
    mine, old, other = event(), event(days_ago=3), event(EventKind.RATE_LIMITED)
    stranger = Event.of(EventKind.SIGNED_IN, Origin(account="hash-of-bob"), job_id="job-2")
    log.append(mine, old, other, stranger)
    assert log.read(EventFilter(kind=EventKind.RATE_LIMITED)) == [other]
    assert log.read(EventFilter(account="hash-of-bob")) == [stranger]
    assert log.read(EventFilter(job_id="job-2")) == [stranger]
    assert len(log.read(EventFilter(user_id=USER))) == 3
    assert old not in log.read(EventFilter(since=datetime.now(UTC) - timedelta(days=1)))
    assert log.read(limit=1) == [max((mine, other, stranger), key=lambda e: e.at)]


@pytest.mark.parametrize("column", ["outcome", "user_id", "at"])
def test_the_database_rejects_updates_of_events(log: Log, database_url: str, column: str) -> None:
    log.append(event())
    engine = create_engine(database_url)
    change = text(f"UPDATE auth_events SET {column} = NULL")  # noqa: S608
    with pytest.raises(SQLAlchemyError, match="append-only"), engine.begin() as connection:
        connection.execute(change)
    engine.dispose()
    assert len(log.read()) == 1


def test_only_events_past_retention_are_deleted(log: Log) -> None:
    log.append(event(days_ago=100), event(days_ago=10))
    ninety_days_ago = datetime.now(UTC) - timedelta(days=90)
    log.database.run(lambda session: EventLog(session).delete_older_than(ninety_days_ago, 1000))
    [kept] = log.read()
    assert kept.at > ninety_days_ago


def test_an_event_that_arrives_twice_is_stored_once(log: Log) -> None:
    first, second = event(), event()
    log.append(first)
    for _ in range(2):
        log.database.run(lambda session: EventLog(session).append_missing([first, second]))
    assert len(log.read()) == 2


def test_storing_a_sign_in_records_tokens_and_session_once(log: Log, keyring: Keyring) -> None:
    accounts = Accounts(log.database, keyring, session_ttl=3600)
    session_id, token = uuid.uuid4(), SecretStr(new_token())
    for _ in range(2):  # a retry
        stored = accounts.store(ANNA, garmin_tokens(), session_id, token, NO_APP)
    events = log.read()
    assert {e.kind for e in events} == {EventKind.TOKENS_STORED, EventKind.SESSION_OPENED}
    assert len(events) == 2
    assert {(e.user_id, e.address, e.request_id) for e in events} == {
        (stored.user_id, "192.0.2.7", "request-1")
    }


def test_logging_out_reading_tokens_and_unlinking_are_recorded(log: Log, keyring: Keyring) -> None:
    accounts = Accounts(log.database, keyring, session_ttl=3600)
    sessions = [uuid.uuid4(), uuid.uuid4()]
    for session_id in sessions:
        token = SecretStr(new_token())
        stored = accounts.store(ANNA, garmin_tokens(), session_id, token, NO_APP)
    log.database.run(lambda s: SessionRepository(s).end(sessions[0], NO_APP))
    log.database.run(lambda s: TokenRepository(s, keyring).load(stored.user_id, NO_APP))
    log.database.run(lambda s: accounts.unlink_user(s, stored.user_id, NO_APP))

    recorded = [(e.kind, e.outcome, e.session_id) for e in log.read()][4:]
    assert sorted(recorded, key=str) == sorted(
        [
            (EventKind.SESSION_ENDED, "log_out", sessions[0]),
            (EventKind.TOKENS_READ, "garth", None),
            (EventKind.SESSION_ENDED, "unlinked", sessions[1]),
            (EventKind.TOKENS_DELETED, "ok", None),
        ],
        key=str,
    )


# Delivery through Redis


def test_events_move_from_redis_to_the_database_once(
    outbox: EventOutbox, sqlite_log: Log, redis: Redis
) -> None:
    events = [event() for _ in range(5)]
    for one in events:
        outbox.add(one)
    assert deliver(outbox, sqlite_log.database, limit=3) == 3
    assert deliver(outbox, sqlite_log.database, limit=3) == 2
    assert deliver(outbox, sqlite_log.database) == 0
    assert {e.id for e in sqlite_log.read()} == {e.id for e in events}
    assert keys_that_never_expire(redis) == []


def test_concurrent_workers_deliver_each_event_once(outbox: EventOutbox, sqlite_log: Log) -> None:
    for _ in range(30):
        outbox.add(event())
    answers = at_once(lambda _: deliver(outbox, sqlite_log.database), threads=4)
    assert all(isinstance(answer, int) for answer in answers)
    assert len(sqlite_log.read()) == 30


def test_events_stay_in_redis_while_the_database_is_down(
    outbox: EventOutbox, sqlite_log: Log, tmp_path: Path
) -> None:
    outbox.add(event())
    absent = Database(f"sqlite:///{tmp_path}/no-such-folder/x.db")
    with pytest.raises(ServiceUnavailableError):
        deliver(outbox, absent)
    absent.close()
    assert deliver(outbox, sqlite_log.database) == 1


def test_an_unreadable_event_is_dropped_and_blocks_no_other(
    outbox: EventOutbox, sqlite_log: Log, redis: Redis
) -> None:
    redis.xadd("fittrack:events", {"event": '{"kind": "of another version"}'})
    outbox.add(event())
    assert deliver(outbox, sqlite_log.database) == 2
    assert len(sqlite_log.read()) == 1


def test_an_event_that_the_database_rejects_blocks_no_other(
    outbox: EventOutbox, sqlite_log: Log, redis: Redis
) -> None:
    good = [event() for _ in range(3)]
    rejected = event().model_copy(update={"kind": None})  # rejected by the column
    events = [*good[:2], rejected, good[2]]
    monkey = pytest.MonkeyPatch()
    monkey.setattr("shared.audit.outbox._parse", lambda text: events[int(text)])
    for number in range(len(events)):
        redis.xadd("fittrack:events", {"event": str(number)})
    assert deliver(outbox, sqlite_log.database) == 4
    monkey.undo()
    assert {e.id for e in sqlite_log.read()} == {e.id for e in good}
    assert redis.xlen("fittrack:events") == 0


@pytest.mark.parametrize(
    "change",
    [
        "REVOKE INSERT ON auth_events FROM PUBLIC, {role}",
        "ALTER TABLE auth_events RENAME TO away",
        "ALTER ROLE {role} SET default_transaction_read_only = on",
    ],
)
def test_events_stay_in_redis_while_the_database_refuses_them(
    outbox: EventOutbox, postgres_url: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Through a role that may do what the service does, until somebody changes it."""
    role = "delivery"
    execute(
        postgres_url,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        change.format(role=role),
    )
    limited = Database(make_url(postgres_url).set(username=role).render_as_string())
    events = [event() for _ in range(3)]
    for one in events:
        outbox.add(one)
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError):
            deliver(outbox, limited)
    limited.close()
    assert [kept for _, kept in outbox.oldest(10)] == events
    assert "the database refuses" in caplog.text
    execute(
        postgres_url,
        "ALTER TABLE IF EXISTS away RENAME TO auth_events",
        f"DROP OWNED BY {role}",
        f"DROP ROLE {role}",
    )
    database = Database(postgres_url)
    assert deliver(outbox, database) == 3
    assert {one.id for one in Log(database).read()} == {one.id for one in events}
    database.close()


def test_a_repeated_refusal_is_recorded_once_per_interval(
    outbox: EventOutbox, redis: Redis
) -> None:
    for _ in range(5):
        outbox.add_once(event(), "login-ip:somebody", 60)
    outbox.add_once(event(), "login-ip:another", 60)
    assert redis.xlen("fittrack:events") == 2
    assert keys_that_never_expire(redis) == []


@pytest.mark.parametrize("field", ["address", "request_id", "account", "job_id"])
def test_values_from_clients_are_made_printable_and_cut(log: Log, field: str) -> None:
    log.append(Event(kind=EventKind.RATE_LIMITED, **{field: "x\0" * 100}))
    assert getattr(log.read()[0], field) == "x" * 64


def test_an_outcome_from_garmin_is_made_printable_and_cut(log: Log) -> None:
    strange = Event.of(EventKind.CODE_REQUESTED, ORIGIN, "pager\0\n" + "x" * 100)
    log.append(strange)
    assert log.read()[0].outcome == ("pager" + "x" * 100)[:64]


@pytest.mark.parametrize(
    ("outcome", "kind", "word"), OUTCOMES, ids=["success", "code", "wrong-code", "locked"]
)
def test_a_job_records_its_start_and_its_end(
    jobs: Jobs,
    outbox: EventOutbox,
    sqlite_log: Log,
    outcome: Outcome,
    kind: EventKind,
    word: str,
) -> None:
    job_kind, requested = JobKind.LOGIN, EventKind.SIGN_IN_REQUESTED
    if kind is EventKind.CODE_WRONG:
        job_kind, requested = JobKind.MFA_COMPLETION, EventKind.CODE_SUBMITTED
    job = jobs.create(jobs.new_id(), job_kind, CREDENTIALS, ORIGIN)
    jobs.end(jobs.claim(job.job_id, "w"), outcome)
    deliver(outbox, sqlite_log.database)
    start, end = sqlite_log.read()
    assert (start.kind, start.outcome) == (requested, "ok")
    assert (end.kind, end.outcome) == (kind, word)
    for recorded in (start, end):
        assert recorded.job_id == job.job_id
        assert (recorded.account, recorded.client_id) == (ORIGIN.account, ORIGIN.client_id)
        assert (recorded.address, recorded.request_id) == ("192.0.2.7", "request-1")


def test_a_code_job_records_a_submitted_code(
    jobs: Jobs, outbox: EventOutbox, sqlite_log: Log
) -> None:
    jobs.create(jobs.new_id(), JobKind.MFA_COMPLETION, SUBMISSION, ORIGIN)
    deliver(outbox, sqlite_log.database)
    assert [e.kind for e in sqlite_log.read()] == [EventKind.CODE_SUBMITTED]


def test_no_event_contains_a_secret(jobs: Jobs, redis: Redis) -> None:
    for outcome, _, _ in OUTCOMES:
        job = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, Origin())
        jobs.end(jobs.claim(job.job_id, "w"), outcome)
    stream = repr(redis.xrange("fittrack:events"))
    assert "signed_in" in stream
    assert [secret for secret in SECRETS if secret in stream] == []
