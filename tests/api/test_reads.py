"""Single SELECTs on the event loop: over connections that may be lost, or never answer."""

import asyncio
import socket
import time
from dataclasses import replace

import pytest
from sqlalchemy import func, literal, select

from api.database import AsyncDatabase
from api.reads import PostgresReads, reads
from shared.database.engine import Database
from shared.errors import ServiceUnavailableError
from shared.timings import PRODUCTION
from tests.databases import execute

PROMPT = replace(PRODUCTION, database_answer=0.5, poll_queue=0.2)


def test_a_row_has_the_columns_as_attributes(database_url: str) -> None:
    database = Database(database_url)

    async def ask() -> None:
        source = reads(database_url, AsyncDatabase(database, PRODUCTION, 1), PRODUCTION)
        row = await source.first(select(literal(7).label("seven")), {})
        assert row.seven == 7
        assert await source.first(select(literal(7)).where(literal(1) == 2), {}) is None
        await source.close()

    asyncio.run(ask())
    database.close()


def test_a_lost_connection_is_replaced(postgres_url: str) -> None:
    query = select(func.pg_backend_pid().label("pid"))

    async def ask() -> None:
        source = PostgresReads(postgres_url)
        first = (await source.first(query, {})).pid
        assert (await source.first(query, {})).pid == first
        await asyncio.to_thread(execute, postgres_url, f"SELECT pg_terminate_backend({first})")
        assert (await source.first(query, {})).pid != first
        await source.close()

    asyncio.run(ask())


def test_a_database_that_hangs_or_is_away_is_unavailable() -> None:
    async def ask(url: str) -> None:
        source = PostgresReads(url, PROMPT)
        async with asyncio.TaskGroup() as group:
            for _ in range(6):  # more than there are connections
                group.create_task(fails(source))
        await source.close()

    async def fails(source: PostgresReads) -> None:
        with pytest.raises(ServiceUnavailableError):
            await source.first(select(literal(1)), {})

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql+psycopg://x@127.0.0.1:{server.getsockname()[1]}/x"
        asyncio.run(ask(url))
    asyncio.run(ask(url))


def test_an_answer_that_nobody_waited_for_is_read_by_nobody(postgres_url: str) -> None:
    slow = select(func.pg_sleep(5).label("slept"))

    async def ask() -> None:
        source = PostgresReads(postgres_url)
        await source.first(select(literal(1).label("one")), {})
        waiting = asyncio.create_task(source.first(slow, {}))
        await asyncio.sleep(0.2)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert (await source.first(select(literal(2).label("two")), {})).two == 2
        await source.close()

    asyncio.run(ask())


def test_a_statement_that_is_not_answered_in_time_is_given_up(postgres_url: str) -> None:
    async def ask() -> None:
        source = PostgresReads(postgres_url, PROMPT)
        started = time.monotonic()
        with pytest.raises(ServiceUnavailableError):
            await source.first(select(func.pg_sleep(20).label("slept")), {})
        assert time.monotonic() < started + 5
        await source.close()

    asyncio.run(ask())
