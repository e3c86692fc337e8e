"""What lies in the service's database, and who waits there, seen from outside."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text

TABLES = ("users", "garmin_tokens", "user_sessions")
_PATIENCE = 120.0


def rows(url: str) -> dict[str, int]:
    """How many rows each table has."""
    engine = create_engine(url)
    with engine.connect() as connection:
        counted = {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
            for table in TABLES
        }
    engine.dispose()
    return counted


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Nobody else can write to the table while the block runs."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"LOCK TABLE {table} IN EXCLUSIVE MODE"))
        yield
    engine.dispose()


def wait_for_someone_locked_out(url: str, number: int = 1) -> None:
    """Until so many other transactions wait for a lock."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    ends_at = time.monotonic() + _PATIENCE
    with engine.connect() as connection:
        while connection.execute(waiting).scalar_one() < number:
            assert time.monotonic() < ends_at, "nobody waits for a lock"
            time.sleep(0.05)
    engine.dispose()


def wait_for_rows(url: str, expected: dict[str, int]) -> None:
    ends_at = time.monotonic() + _PATIENCE
    while (found := rows(url)) != expected:
        assert time.monotonic() < ends_at, found
        time.sleep(0.1)
