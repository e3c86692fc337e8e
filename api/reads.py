"""Single SELECTs that are asked so often that threads and transactions would cost the most.

PostgreSQL is read on the event loop, over connections that stay open; SQLite, which has no server
to wait for, on a thread.
"""

import time
from collections import namedtuple
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg.errors import InsufficientPrivilege, _WaitTimeout
from sqlalchemy import Select, make_url

from api.database import AsyncDatabase, Turns
from shared.database.dialect import PGDialect_psycopg
from shared.errors import ServiceUnavailableError
from shared.timings import PRODUCTION, Timings

_CONNECTIONS = 4
_LIFETIME = 1800.0
"""Seconds after which a connection is replaced: its server may no longer be the primary."""
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]

type _Connection = psycopg.AsyncConnection[Any]


class Reads(Protocol):
    async def first(
        self, query: Select[Any], values: Mapping[str, object], patience: float | None = None
    ) -> Any:  # noqa: ANN401 - its attributes are the columns
        """Return the first row, or None.

        Raises ServiceUnavailableError, also if no connection is free in time, or within
        `patience` seconds if that is longer.
        """

    async def close(self) -> None: ...


def reads(url: str, database: AsyncDatabase, timings: Timings) -> Reads:
    """Return what reads the database at `url`, which is also `database`."""
    return SessionReads(database) if url.startswith("sqlite") else PostgresReads(url, timings)


class SessionReads:
    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def first(
        self, query: Select[Any], values: Mapping[str, object], patience: float | None = None
    ) -> Any:  # noqa: ANN401 - the interface
        return await self._database.run(
            lambda session: session.execute(query, values).first(), patience
        )

    async def close(self) -> None:
        """The database is somebody else's."""


class _DeadlineConnection(psycopg.AsyncConnection[Any]):
    """Closes and raises OperationalError if an answer takes too long, as `DeadlineConnection`."""

    answer_timeout = 15.0

    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - psycopg's
        kwargs.setdefault("timeout", self.answer_timeout)
        try:
            return await super().wait(gen, *args, **kwargs)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("no answer in time") from None


class _LostError(psycopg.OperationalError):
    """The connection was lost before it brought an answer."""


@dataclass(frozen=True)
class _Statement:
    """`values` are those that the query has itself; `row` makes one of a tuple."""

    text: str
    values: Mapping[str, object]
    row: Callable[..., Any]

    @classmethod
    def of(cls, query: Select[Any]) -> "_Statement":
        compiled, names = query.compile(dialect=_DIALECT), list(query.selected_columns.keys())
        return cls(str(compiled), compiled.params, namedtuple("Row", names, rename=True))


class PostgresReads:
    """Where a connection turns out to be lost, the SELECT is sent once more, on a new one."""

    def __init__(self, url: str, timings: Timings = PRODUCTION) -> None:
        _, self._arguments = _DIALECT.create_connect_args(  # type: ignore[no-untyped-call]
            make_url(url)
        )
        self._arguments |= {
            "connect_timeout": timings.database_connect,
            "options": f"-c statement_timeout={timings.database_statement * 1000}",
            "autocommit": True,
        }
        limits = {"answer_timeout": timings.database_answer}
        self._class: type[_DeadlineConnection] = type(
            "DeadlineConnection", (_DeadlineConnection,), limits
        )
        self._turns = Turns(_CONNECTIONS, timings.poll_queue)
        self._idle: list[_Connection] = []
        self._good_until: dict[_Connection, float] = {}
        self._statements: dict[Select[Any], _Statement] = {}

    async def first(
        self, query: Select[Any], values: Mapping[str, object], patience: float | None = None
    ) -> Any:  # noqa: ANN401 - the interface
        statement = self._statements.get(query)
        if statement is None:
            statement = self._statements[query] = _Statement.of(query)
        async with self._turns.take(patience):
            try:
                return await self._first(statement, values)
            except (psycopg.OperationalError, InsufficientPrivilege):
                raise ServiceUnavailableError("database") from None

    async def _first(self, statement: _Statement, values: Mapping[str, object]) -> Any:  # noqa: ANN401
        connection = await self._kept()
        if connection is not None:
            with suppress(_LostError):
                return await self._read(connection, statement, values)
        return await self._read(await self._connect(), statement, values)

    async def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if time.monotonic() < self._good_until[connection]:
                return connection
            await self._end(connection)
        return None

    async def _read(
        self, connection: _Connection, statement: _Statement, values: Mapping[str, object]
    ) -> Any:  # noqa: ANN401 - the interface
        try:
            cursor = await connection.execute(statement.text, {**statement.values, **values})
            row = await cursor.fetchone()
        except psycopg.OperationalError as error:
            lost = connection.closed
            await self._end(connection)
            if lost:
                raise _LostError from error
            raise
        except BaseException:  # a request that was cancelled leaves an answer behind
            await self._end(connection)
            raise
        self._idle.append(connection)
        return None if row is None else statement.row(*row)

    async def _connect(self) -> _Connection:
        connection: _Connection = await self._class.connect(**self._arguments)
        self._good_until[connection] = time.monotonic() + _LIFETIME
        return connection

    async def _end(self, connection: _Connection) -> None:
        del self._good_until[connection]
        await connection.close()

    async def close(self) -> None:
        while self._idle:
            await self._end(self._idle.pop())
