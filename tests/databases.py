"""Databases for tests, migrated once in a run and then copied."""

import atexit
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url, text

from dev.processes import ROOT


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
    """Creates databases on one PostgreSQL server and drops them after use."""

    def __init__(self, server_url: str) -> None:
        self._url = make_url(server_url)
        self._engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
        self._numbers = itertools.count(1)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Yield the URL of a database without tables."""
        with self._copy_of("template1") as url:
            yield url

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Yield the URL of a migrated database."""
        with self._copy_of(self._migrated) as url:
            yield url

    def close(self) -> None:
        self._engine.dispose()

    @cached_property
    def _migrated(self) -> str:
        self._execute("CREATE DATABASE migrated")
        migrate(self._url_of("migrated"))
        return "migrated"

    @contextmanager
    def _copy_of(self, template: str) -> Iterator[str]:
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self._url_of(name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _url_of(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(statement))
