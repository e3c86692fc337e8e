"""Conflicting transactions on a real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.database.engine import Database

TIMEOUT = 60


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """A database with two notes that count their updates."""
    database = Database(postgres_url)
    database.run(lambda s: s.execute(text("CREATE TABLE notes (id INTEGER, count INTEGER)")))
    database.run(lambda s: s.execute(text("INSERT INTO notes VALUES (1, 0), (2, 0)")))
    yield database
    database.close()


def count(session: Session, note: int) -> None:
    session.execute(text("UPDATE notes SET count = count + 1 WHERE id = :note"), {"note": note})


def counts(database: Database) -> list[int]:
    select = text("SELECT count FROM notes ORDER BY id")
    return list(database.run(lambda session: session.execute(select).scalars().all()))


def test_two_deadlocked_transactions_both_commit(database: Database) -> None:
    both_hold_one = Barrier(2, timeout=TIMEOUT)
    attempts: list[int] = []

    def work(session: Session, first: int) -> None:
        attempts.append(first)
        count(session, first)
        if attempts.count(first) == 1:
            both_hold_one.wait()
        count(session, 3 - first)

    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(database.run, lambda session, note=note: work(session, note))
            for note in (1, 2)
        ]
        for run in runs:
            run.result(timeout=TIMEOUT)

    # PostgreSQL cancelled one of the two. Its next try may have met the other once more.
    assert len(attempts) > 2
    assert counts(database) == [2, 2]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_with_stale_reads_is_retried(database: Database, level: str) -> None:
    seen: list[int] = []

    def work(session: Session) -> None:
        session.execute(text(f"SET TRANSACTION ISOLATION LEVEL {level}"))
        select = text("SELECT count FROM notes WHERE id = 1")
        seen.append(session.execute(select).scalar_one())
        if len(seen) == 1:
            database.run(lambda other: count(other, 1))
        count(session, 1)

    database.run(work)

    assert seen == [0, 1]
    assert counts(database) == [2, 0]
