"""A PostgreSQL that hangs: it accepts connections and answers nothing."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from dev.servers import PostgresServer
from shared.database.engine import Database
from shared.errors import ServiceUnavailableError
from shared.timings import PRODUCTION


@pytest.fixture(scope="module")
def server(server_folder: Path) -> Iterator[PostgresServer]:
    """One that a test may stop."""
    folder = Path(tempfile.mkdtemp(dir=server_folder))
    with PostgresServer(folder) as server:
        assert isinstance(server, PostgresServer)
        yield server
        signal_all(server, signal.SIGCONT)


def signal_all(server: PostgresServer, number: signal.Signals) -> None:
    """Signal the backends too: each is a process group of its own."""
    process = psutil.Process(server.pid)
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # a backend that has ended meanwhile
            one.send_signal(number)


def test_a_hung_server_is_unavailable_until_it_answers_again(
    server: PostgresServer,
) -> None:
    database = Database(server.url, replace(PRODUCTION, database_answer=1.0))
    database.ping()
    signal_all(server, signal.SIGSTOP)
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError) as caught:
            database.ping()
        assert caught.value.what == "database"
    signal_all(server, signal.SIGCONT)
    database.ping()
    database.close()


def test_a_slow_statement_is_cancelled_by_the_server(server: PostgresServer) -> None:
    database = Database(server.url, replace(PRODUCTION, database_statement=1))
    with pytest.raises(ServiceUnavailableError):
        database.run(lambda session: session.execute(text("SELECT pg_sleep(60)")))
    assert database.run(lambda session: session.scalar(text("SELECT 1"))) == 1
    database.close()
