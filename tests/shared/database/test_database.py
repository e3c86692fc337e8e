"""The database: whether it answers, whether it is migrated, and one transaction at a time."""

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


def away(address: str) -> str:
    return f"postgresql+psycopg://fit:{PASSWORD}@{address}/fit"


def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def empty_database(empty_database_url: str) -> Iterator[Database]:
    yield from opened(empty_database_url)


@pytest.fixture
def absent_database() -> Iterator[Database]:
    yield from opened(away(nothing_listens()))


@pytest.fixture
def unwritable_database(tmp_path: Path) -> Iterator[Database]:
    yield from opened(f"sqlite:///{tmp_path}/{PASSWORD}/missing.db")


def one_line(database: Database) -> str:
    with pytest.raises(ConfigurationError) as caught:
        database.check_migrated()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert PASSWORD not in message
    return message


def test_a_migrated_database_is_fine(database: Database) -> None:
    database.check_migrated()
    database.ping()


def test_an_unmigrated_database_is_told_what_to_do(empty_database: Database) -> None:
    assert "run `alembic upgrade head`" in one_line(empty_database)


def test_a_database_of_another_version_is_told_both(database: Database) -> None:
    database.run(lambda s: s.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    message = one_line(database)
    assert "9999" in message
    assert SCHEMA_REVISION in message


def test_an_unreachable_database_is_told_where_to_look(
    absent_database: Database, unwritable_database: Database
) -> None:
    for database in (absent_database, unwritable_database):
        assert "FITTRACK_DATABASE_URL" in one_line(database)


def test_an_absent_database_is_unavailable(
    absent_database: Database, unwritable_database: Database
) -> None:
    for database in (absent_database, unwritable_database):
        with pytest.raises(ServiceUnavailableError) as caught:
            database.ping()
        assert caught.value.what == "database"
        assert PASSWORD not in repr(caught.value)
        assert caught.value.__cause__ is None


def test_a_database_that_does_not_answer_is_not_waited_for() -> None:
    with nobody_answers() as address:
        database = Database(away(address))
        with pytest.raises(ServiceUnavailableError):
            database.ping()
        database.close()


def test_a_database_that_comes_back_is_used_again(tmp_path_factory: pytest.TempPathFactory) -> None:
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


def test_what_fails_half_way_leaves_nothing(database: Database) -> None:
    database.run(lambda session: session.execute(text("CREATE TABLE notes (id INTEGER)")))

    def work(session: Session) -> None:
        session.execute(text("INSERT INTO notes VALUES (7)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(work)
    assert database.run(lambda session: session.execute(text("SELECT id FROM notes")).all()) == []


def test_what_is_done_is_kept(database: Database) -> None:
    database.run(lambda session: session.execute(text("CREATE TABLE notes (id INTEGER)")))
    database.run(lambda session: session.execute(text("INSERT INTO notes VALUES (7)")))
    kept = database.run(lambda s: s.execute(text("SELECT id FROM notes")).scalar_one())
    assert kept == 7


def test_a_conflict_runs_the_whole_work_again(database: Database) -> None:
    database.run(lambda s: s.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY)")))
    database.run(lambda s: s.execute(text("INSERT INTO notes VALUES (1)")))
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(len(tries) + 1)
        session.execute(text("INSERT INTO notes VALUES (:id)"), {"id": 10 * len(tries)})
        session.execute(text("INSERT INTO notes VALUES (:id)"), {"id": len(tries)})

    database.run(work)
    assert tries == [1, 2]
    ids = database.run(lambda s: s.execute(text("SELECT id FROM notes")).scalars().all())
    assert sorted(ids) == [1, 2, 20]


def test_a_conflict_that_does_not_end_is_unavailable(database: Database) -> None:
    database.run(lambda s: s.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY)")))
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(1)
        session.execute(text("INSERT INTO notes VALUES (1)"))
        session.execute(text("INSERT INTO notes VALUES (1)"))

    with pytest.raises(ServiceUnavailableError):
        database.run(work)
    assert len(tries) == 5


def test_a_deadlock_is_tried_again(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.run(lambda s: s.execute(text("CREATE TABLE notes (id INTEGER)")))
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(1)
        session.execute(text("INSERT INTO notes VALUES (1)"))
        if len(tries) == 1:
            state = "RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'"
            session.execute(text(f"DO $$ BEGIN {state}; END $$"))

    database.run(work)
    assert len(tries) == 2
    assert database.run(lambda s: s.execute(text("SELECT * FROM notes")).all()) == [(1,)]
    database.close()
