"""The database: an engine with timeouts, transactions, and a check of the schema revision."""

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from shared.database.postgres import DeadlineConnection, connection_class
from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.retries import retried
from shared.timings import PRODUCTION, Timings

if TYPE_CHECKING:
    import sqlite3

_log = logging.getLogger(__name__)

SCHEMA_REVISION = "0009"
"""The newest in `shared/database/migrations/versions`; importing alembic would take 10 MB."""

_SURELY_THERE = 1.0
_NEVER = -math.inf

_CONFLICTS = {"40001", "40P01", "23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}
"""Serialization failure, deadlock and unique violation, as PostgreSQL and SQLite name them."""

_DISK_FULL = {"53100", "SQLITE_FULL"}

_REFUSING_STATES = {"42501": "a right is missing", "25006": "it is read-only"}
"""What an operator can put right: until then, it is as if the database were away."""


class Database:
    """One engine per process; each transaction runs on a pooled connection.

    `on_full` is called when the database refuses to write because its disk is full.
    """

    def __init__(
        self,
        url: str,
        timings: Timings = PRODUCTION,
        pool_size: int = 8,
        on_full: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = _make_engine(url, timings, pool_size)
        self._single = _without_transactions(self._engine)
        self._on_full = on_full

    @classmethod
    def migrated(
        cls,
        url: str,
        timings: Timings = PRODUCTION,
        on_full: Callable[[], None] = lambda: None,
    ) -> "Database":
        """Open a database. Raises ConfigurationError if it is unreachable or not migrated."""
        database = cls(url, timings, on_full=on_full)
        try:
            database.check_migrated()
        except ConfigurationError:
            database.close()
            raise
        return database

    def run[T](self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction, commit it and return its result.

        On a conflict (deadlock, serialization failure, unique violation) the transaction is
        retried, so `work` must have no effect but on the session. Raises ServiceUnavailableError
        if the database does not answer or every attempt conflicts.
        """
        return self._run(self._engine, work)

    def run_statement[T](self, work: Callable[[Session], T]) -> T:
        """Run `work`, one statement alone, as `run` does; return its result.

        The statement is a transaction by itself, without the two round trips that begin and commit
        one. What `work` raises afterwards does not undo it, and it may still take effect after
        ServiceUnavailableError.
        """
        return self._run(self._single, work)

    def _run[T](self, engine: Engine, work: Callable[[Session], T]) -> T:
        try:
            return retried(lambda: _transaction(engine, work), lambda: _retrying_conflicts)
        except (DBAPIError, PoolTimeoutError) as error:
            if _codes(error) & _DISK_FULL:
                self._on_full()
            raise _translated(error) from None

    def ping(self) -> None:
        """Run an empty query. Raises ServiceUnavailableError if the database does not answer."""
        self.run(lambda session: session.execute(text("SELECT 1")))

    def check_migrated(self) -> None:
        """Check the schema revision. Raises ConfigurationError if it is not the expected one."""
        try:
            with self._engine.connect() as connection:
                revision = _revision(connection)
        except SQLAlchemyError:
            raise ConfigurationError(
                "the database does not answer: check FITTRACK_DATABASE_URL"
            ) from None
        if revision is None:
            raise ConfigurationError("the database has no tables: run `alembic upgrade head`")
        if revision != SCHEMA_REVISION:
            raise ConfigurationError(
                f"the database is at revision {revision}, not {SCHEMA_REVISION}: "
                "run `alembic upgrade head`"
            )

    def close(self) -> None:
        self._engine.dispose()


def _transaction[T](engine: Engine, work: Callable[[Session], T]) -> T:
    with Session(engine, expire_on_commit=False) as session, session.begin():
        return work(session)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _without_transactions(engine: Engine) -> Engine:
    """Return an engine over the same connections. SQLite has no round trips to save."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _make_engine(url: str, timings: Timings, pool_size: int) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": 5}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    import shared.database.dialect  # noqa: F401

    engine = create_engine(
        url,
        connect_args={
            "connect_timeout": timings.database_connect,
            "options": f"-c statement_timeout={timings.database_statement * 1000}",
        },
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=3,
        pool_recycle=1800,
        hide_parameters=True,
    )
    connection = connection_class(timings.database_answer)

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
    ) -> DeadlineConnection:
        return connection.connect(*arguments, **options)

    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _check_alive)
    return engine


def _note_use(_connection: object, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event
    record.info["used_at"] = time.monotonic()


def _check_alive(connection: DeadlineConnection, record: Any, _proxy: object) -> None:  # noqa: ANN401
    """Raise DisconnectionError, for another connection, where the server has closed this one.

    SQLAlchemy's own `pool_pre_ping` asks the server each time, which is a round trip for each
    transaction. What the server closes can be read; only a host that is gone closes nothing.
    """
    used_at = record.info.get("used_at", _NEVER)
    if time.monotonic() - used_at < _SURELY_THERE and not connection.has_input():
        return
    if used_at is not _NEVER and not connection.answers():
        raise DisconnectionError


def _prepare_sqlite(connection: "sqlite3.Connection", _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event
    # Lock for writing at once: a transaction that reads before it writes would otherwise fail,
    # without waiting, if another one wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_conflict(error: BaseException) -> bool:
    return bool(_codes(error) & _CONFLICTS)


def _codes(error: BaseException) -> set[str | None]:
    """PostgreSQL's code of an error, SQLite's name of one."""
    cause = getattr(error, "orig", None)
    return {getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorname", None)}


_retrying_conflicts = Retrying(
    retry=retry_if_exception(_is_conflict),
    stop=stop_after_attempt(5),
    wait=wait_random_exponential(multiplier=0.05, max=0.2),
    reraise=True,
)


def _translated(error: Exception) -> Exception:
    """Return ServiceUnavailableError for what passes, and the error itself if it is a bug."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state in _REFUSING_STATES:
        _log.error("the database refuses: %s", _REFUSING_STATES[state])
        return ServiceUnavailableError("database")
    if isinstance(error, OperationalError | PoolTimeoutError) or _is_conflict(error):
        return ServiceUnavailableError("database")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ServiceUnavailableError("database")
    return error
