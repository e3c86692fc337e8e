"""The database: an engine with deadlines, transactions, and whether it is migrated."""

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from shared.database.postgres import DeadlineConnection, connection_class
from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.timings import PRODUCTION, Timings

SCHEMA_REVISION = "0002"
"""The newest of `shared/database/migrations/versions`: asking alembic would cost a worker 10 MB."""

_TRANSACTION_TRIES = 5
_RETRIED_STATES = {"40001", "40P01", "23505"}
"""PostgreSQL: serialization failure, deadlock, two inserting the same row at once."""

_RETRIED_NAMES = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}


class Database:
    """One engine for a process; every transaction runs on a connection of its own."""

    def __init__(self, url: str, timings: Timings = PRODUCTION, pool_size: int = 8) -> None:
        self._engine = _make_engine(url, timings, pool_size)

    @classmethod
    def migrated(cls, url: str, timings: Timings = PRODUCTION) -> "Database":
        """Raises ConfigurationError if it does not answer or is not migrated."""
        database = cls(url, timings)
        database.check_migrated()
        return database

    def run[T](self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction and commit it.

        After a conflict (deadlock, serialization failure, two inserting the same row at once) it is
        run again, a few times: `work` must do nothing but use the session. Raises
        ServiceUnavailableError when the database is away or conflicts don't end.
        """
        retrying = Retrying(
            retry=retry_if_exception(_is_conflict),
            wait=wait_random_exponential(multiplier=0.05, max=0.25),
            stop=stop_after_attempt(_TRANSACTION_TRIES),
            reraise=True,
        )
        try:
            result: T = retrying(lambda: self._run_once(work))
            return result
        except (DBAPIError, PoolTimeoutError) as error:
            raise _translated(error) from None

    def _run_once[T](self, work: Callable[[Session], T]) -> T:
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            return work(session)

    def ping(self) -> None:
        """Raises ServiceUnavailableError if the database does not answer."""
        self.run(lambda session: session.execute(text("SELECT 1")))

    def check_migrated(self) -> None:
        """Raises ConfigurationError if the tables are not those this code was written for."""
        try:
            with self._engine.connect() as connection:
                found = _revision(connection)
        except SQLAlchemyError:
            raise ConfigurationError(
                "the database does not answer: check FITTRACK_DATABASE_URL"
            ) from None
        if found != SCHEMA_REVISION:
            raise ConfigurationError(
                f"the database is at revision {found}, not {SCHEMA_REVISION}: "
                "run `alembic upgrade head`"
            )

    def close(self) -> None:
        self._engine.dispose()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _make_engine(url: str, timings: Timings, pool_size: int) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": 5}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url,
        connect_args={
            "connect_timeout": timings.database_connect,
            "options": f"-c statement_timeout={timings.database_statement * 1000}",
        },
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=3,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,
    )
    connection = connection_class(timings.database_answer)

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
    ) -> DeadlineConnection:
        return connection.connect(*arguments, **options)

    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event
    # A write lock from the start: a transaction that reads first and then writes would fail at
    # once, without waiting, if another had written in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_conflict(error: BaseException) -> bool:
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorname in _RETRIED_NAMES
    return getattr(cause, "sqlstate", None) in _RETRIED_STATES


def _translated(error: Exception) -> Exception:
    if isinstance(error, OperationalError | PoolTimeoutError) or _is_conflict(error):
        return ServiceUnavailableError("database")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ServiceUnavailableError("database")
    return error
