"""The database: timeouts, the check of its revision, and transactions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from dev.servers import PostgresServer
from shared.database.engine import SCHEMA_REVISION, Database
from shared.errors import ConfigurationError, ServiceUnavailableError
from tests.shared.samples import nobody_answers, nothing_listens

PASSWORD = "database-password"


def url_of(address: str) -> str:
    return f"postgresql+psycopg://fit:{PASSWORD}@{address}/fit"


def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def empty_database(empty_database_url: str) -> Iterator[Database]:
    yield from opened(empty_database_url)


@pytest.fixture
def unreachable_database() -> Iterator[Database]:
    yield from opened(url_of(nothing_listens()))


@pytest.fixture
def unwritable_database(tmp_path: Path) -> Iterator[Database]:
    yield from opened(f"sqlite:///{tmp_path}/{PASSWORD}/missing.db")


def error_of(database: Database) -> str:
    with pytest.raises(ConfigurationError) as caught:
        database.check_migrated()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert PASSWORD not in message
    return message


def test_a_migrated_database_passes_the_check(database: Database) -> None:
    database.check_migrated()
    database.ping()


def test_an_unmigrated_database_fails_with_the_command_to_run(empty_database: Database) -> None:
    assert "run `alembic upgrade head`" in error_of(empty_database)


def test_another_revision_fails_with_both_revisions(database: Database) -> None:
    database.run(lambda s: s.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    message = error_of(database)
    assert "9999" in message
    assert SCHEMA_REVISION in message


def test_an_unreachable_database_fails_with_the_setting_to_check(
    unreachable_database: Database, unwritable_database: Database
) -> None:
    for database in (unreachable_database, unwritable_database):
        assert "FITTRACK_DATABASE_URL" in error_of(database)


def test_an_unreachable_database_raises_service_unavailable(
    unreachable_database: Database, unwritable_database: Database
) -> None:
    for database in (unreachable_database, unwritable_database):
        with pytest.raises(ServiceUnavailableError) as caught:
            database.ping()
        assert caught.value.what == "database"
        assert PASSWORD not in repr(caught.value)
        assert caught.value.__cause__ is None


def test_a_database_that_does_not_answer_times_out() -> None:
    with nobody_answers() as address:
        database = Database(url_of(address))
        with pytest.raises(ServiceUnavailableError):
            database.ping()
        database.close()


def test_a_restarted_database_is_used_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("pg")
    with PostgresServer(folder) as server:
        assert isinstance(server, PostgresServer)
        database = Database(server.url)
        database.ping()
        port = server.port
    with pytest.raises(ServiceUnavailableError):
        database.ping()
    with PostgresServer(folder, port):
        database.ping()
        database.close()


def test_a_connection_that_the_server_has_just_closed_is_replaced(postgres_url: str) -> None:
    def backend(session: Session) -> int:
        return int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())

    database, other = Database(postgres_url, pool_size=1), Database(postgres_url, pool_size=1)
    first = database.run(backend)
    end = text("SELECT pg_terminate_backend(:pid, 5000)")
    assert other.run(lambda session: session.scalar(end, {"pid": first}))
    assert database.run(backend) != first
    database.close()
    other.close()


def test_a_failed_transaction_is_rolled_back(database: Database) -> None:
    database.run(lambda session: session.execute(text("CREATE TABLE notes (id INTEGER)")))

    def work(session: Session) -> None:
        session.execute(text("INSERT INTO notes VALUES (7)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(work)
    assert database.run(lambda session: session.execute(text("SELECT id FROM notes")).all()) == []


def test_a_finished_transaction_is_committed(database: Database) -> None:
    database.run(lambda session: session.execute(text("CREATE TABLE notes (id INTEGER)")))
    database.run(lambda session: session.execute(text("INSERT INTO notes VALUES (7)")))
    stored = database.run(lambda s: s.execute(text("SELECT id FROM notes")).scalar_one())
    assert stored == 7


def test_a_single_statement_is_committed_and_the_next_transaction_is_one(
    database: Database,
) -> None:
    database.run(lambda session: session.execute(text("CREATE TABLE notes (id INTEGER)")))
    write = text("INSERT INTO notes VALUES (7)")

    def autocommits(session: Session) -> object:
        session.execute(write)
        return getattr(session.connection().connection.dbapi_connection, "autocommit", None)

    # SQLite's connections have none, and are always asked to begin.
    assert database.run_statement(autocommits) in (True, -1)

    def fail(session: Session) -> None:
        session.execute(write)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(fail)
    found = database.run(
        lambda session: session.execute(text("SELECT id FROM notes")).scalars().all()
    )
    assert found == [7]


def test_a_conflict_reattempts_the_whole_transaction(database: Database) -> None:
    database.run(lambda s: s.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY)")))
    database.run(lambda s: s.execute(text("INSERT INTO notes VALUES (1)")))
    attempts: list[int] = []

    def work(session: Session) -> None:
        attempts.append(len(attempts) + 1)
        session.execute(text("INSERT INTO notes VALUES (:id)"), {"id": 10 * len(attempts)})
        session.execute(text("INSERT INTO notes VALUES (:id)"), {"id": len(attempts)})

    database.run(work)
    assert attempts == [1, 2]
    ids = database.run(lambda s: s.execute(text("SELECT id FROM notes")).scalars().all())
    assert sorted(ids) == [1, 2, 20]


def test_endless_conflicts_raise_service_unavailable(database: Database) -> None:
    database.run(lambda s: s.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY)")))
    attempts: list[int] = []

    def work(session: Session) -> None:
        attempts.append(1)
        session.execute(text("INSERT INTO notes VALUES (1)"))
        session.execute(text("INSERT INTO notes VALUES (1)"))

    with pytest.raises(ServiceUnavailableError):
        database.run(work)
    assert len(attempts) == 5


def test_a_deadlock_is_retried(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.run(lambda s: s.execute(text("CREATE TABLE notes (id INTEGER)")))
    attempts: list[int] = []

    def work(session: Session) -> None:
        attempts.append(1)
        session.execute(text("INSERT INTO notes VALUES (1)"))
        if len(attempts) == 1:
            state = "RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'"
            session.execute(text(f"DO $$ BEGIN {state}; END $$"))

    database.run(work)
    assert len(attempts) == 2
    assert database.run(lambda s: s.execute(text("SELECT * FROM notes")).all()) == [(1,)]
    database.close()
