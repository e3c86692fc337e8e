"""Single SELECTs that are asked so often that threads and transactions would cost the most.

PostgreSQL is read on the event loop, over connections that stay open; SQLite, which has no server
to wait for, on a thread.
"""

import asyncio
from collections import namedtuple
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Select, make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from api.database import AsyncDatabase, Turns
from shared.errors import ServiceUnavailableError
from shared.timings import PRODUCTION, Timings

_CONNECTIONS = 4
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
        self._answer = timings.database_answer
        self._turns = Turns(_CONNECTIONS, timings.poll_queue)
        self._idle: list[_Connection] = []
        self._statements: dict[Select[Any], _Statement] = {}

    async def first(
        self, query: Select[Any], values: Mapping[str, object], patience: float | None = None
    ) -> Any:  # noqa: ANN401 - the interface
        statement = self._statements.get(query)
        if statement is None:
            statement = self._statements[query] = _Statement.of(query)
        async with self._turns.take(patience):
            try:
                async with asyncio.timeout(self._answer):
                    return await self._first(statement, values)
            except (psycopg.OperationalError, InsufficientPrivilege, OSError):  # or no answer
                raise ServiceUnavailableError("database") from None

    async def _first(self, statement: _Statement, values: Mapping[str, object]) -> Any:  # noqa: ANN401
        if self._idle:
            connection = self._idle.pop()
            with suppress(_LostError):
                return await self._read(connection, statement, values)
        return await self._read(await self._connect(), statement, values)

    async def _read(
        self, connection: _Connection, statement: _Statement, values: Mapping[str, object]
    ) -> Any:  # noqa: ANN401 - the interface
        try:
            cursor = await connection.execute(statement.text, {**statement.values, **values})
            row = await cursor.fetchone()
        except psycopg.OperationalError as error:
            if connection.closed:
                raise _LostError from error
            await connection.close()
            raise
        except BaseException:  # a request that was cancelled leaves an answer behind
            await connection.close()
            raise
        self._idle.append(connection)
        return None if row is None else statement.row(*row)

    async def _connect(self) -> _Connection:
        return await psycopg.AsyncConnection.connect(**self._arguments)

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()
