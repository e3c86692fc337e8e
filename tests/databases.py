"""Databases for tests, migrated once in a run and then copied."""

import atexit
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, NullPool, create_engine, make_url, text

from dev.processes import ROOT
from shared.database.models import Base


def alembic() -> Config:
    return Config(ROOT / "alembic.ini")


def migrate(url: str) -> None:
    """Run `alembic upgrade head` in this process."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FITTRACK_DATABASE_URL", url)
        command.upgrade(alembic(), "head")


def migrated_sqlite(path: Path) -> str:
    """Copy a migrated SQLite database to `path`; return its URL."""
    shutil.copyfile(_sqlite_template(), path)
    return f"sqlite:///{path}"


@cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fittrack-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate(f"sqlite:///{folder}/migrated.db")
    return folder / "migrated.db"


class PostgresDatabases:
    """Databases on one PostgreSQL server, used again and again.

    Deleting the rows of the last test takes some 20 ms. Copying a template takes ten times as
    long, for it writes 300 files.
    """

    def __init__(self, server_url: str) -> None:
        self._server_url = make_url(server_url)
        self._numbers = itertools.count(1)
        self._empty: list[str] = []
        self._migrated: list[str] = []
        self._columns: object = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Yield the URL of a database without tables."""
        url = self._empty.pop() if self._empty else self._create()
        yield url
        execute(url, _DISCONNECT_OTHERS, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        self._empty.append(url)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Yield the URL of a migrated database without rows."""
        url = self._migrated.pop() if self._migrated else self._create_migrated()
        yield url
        if execute(url, _DISCONNECT_OTHERS, _COLUMNS) == self._columns:
            tables = (table.name for table in reversed(Base.metadata.sorted_tables))
            execute(url, *(f"DELETE FROM {table}" for table in tables))  # noqa: S608
            self._migrated.append(url)

    def _create_migrated(self) -> str:
        url = self._create()
        migrate(url)
        self._columns = execute(url, _COLUMNS)
        return url

    def _create(self) -> str:
        name = f"test_{next(self._numbers)}"
        execute(self._server_url, f"CREATE DATABASE {name}")
        return self._server_url.set(database=name).render_as_string(hide_password=False)


_DISCONNECT_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_COLUMNS = """
    SELECT array_agg((relname, attname)::text ORDER BY relname, attname)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0
"""
"""Of every table and index: a database whose schema a test has changed is not used again."""


def execute(url: URL | str, *statements: str) -> object:
    """Return the first value that the last statement selects, if it selects any."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        results = [connection.execute(text(statement)) for statement in statements]
        return results[-1].scalar() if results[-1].returns_rows else None
