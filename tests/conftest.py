"""Servers for tests: real Redis, fakeredis, PostgreSQL, SQLite, the simulated Garmin.

What is not installed is skipped, but for CI (`CI=true`), where a skipped test is a failure.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from dev.processes import Process, clean_environment
from dev.servers import FakeRedisServer, PostgresServer, RedisServer
from dev.simulator import Simulator
from dev.stack import BIN, new_key
from shared.crypto.keyring import Keyring

_IN_CI = os.environ.get("CI", "").lower() == "true"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine's reaches a test: proxies, certificates, the service's own."""
    names = {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"}
    names |= {"CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    for name in list(os.environ):
        if name.upper() in names or name.upper().startswith(("FITTRACK_", "GARTH_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    # Not pytest's own folder: PostgreSQL's user must be able to reach it.
    with tempfile.TemporaryDirectory(prefix="fittrack-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[RedisServer]:
    """A real Redis for the whole run. Tests that stop it start their own."""
    _require(RedisServer.installed(), "redis-server is not installed")
    with RedisServer(_made(server_folder / "redis")) as server:
        assert isinstance(server, RedisServer)
        yield server


@pytest.fixture(scope="session")
def fake_redis_server(server_folder: Path) -> Iterator[FakeRedisServer]:
    with FakeRedisServer(_made(server_folder / "fakeredis")) as server:
        assert isinstance(server, FakeRedisServer)
        yield server


@pytest.fixture
def real_redis_url(redis_server: RedisServer) -> str:
    """An empty, real Redis."""
    return _emptied(redis_server.url)


@pytest.fixture(params=["redis", "fakeredis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """An empty Redis; the test runs over the real one and over fakeredis."""
    fixture = {"redis": "redis_server", "fakeredis": "fake_redis_server"}[request.param]
    server: RedisServer | FakeRedisServer = request.getfixturevalue(fixture)
    return _emptied(server.url)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[PostgresServer]:
    """A real PostgreSQL for the whole run. Tests that stop it start their own."""
    _require(PostgresServer.installed(), "PostgreSQL is not installed")
    with PostgresServer(_made(server_folder / "pg")) as server:
        assert isinstance(server, PostgresServer)
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """An empty, real PostgreSQL, not migrated."""
    engine = create_engine(postgres_server.url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgres_server.url


@pytest.fixture(params=["postgresql", "sqlite"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, not migrated; the test runs over PostgreSQL and over SQLite."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def database_url(empty_database_url: str, tmp_path: Path) -> str:
    """A migrated database; the test runs over PostgreSQL and over SQLite."""
    migrate(empty_database_url, tmp_path)
    return empty_database_url


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.parse(new_key("test"))


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def garmin(running_simulator: Simulator) -> Simulator:
    """The simulated Garmin, as it was when it started."""
    running_simulator.reset()
    return running_simulator


def migrate(database_url: str, folder: Path, to: str = "head") -> None:
    """Runs alembic as an operator does; down if `to` is not `head`."""
    verb = "upgrade" if to == "head" else "downgrade"
    with Process(
        "alembic",
        [BIN / "alembic", verb, to],
        folder / "alembic.log",
        clean_environment({"FITTRACK_DATABASE_URL": database_url}),
        lambda process: process.wait(60) == 0,
    ):
        pass


def _require(there: bool, what: str) -> None:
    if not there:
        pytest.skip(what)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _emptied(url: str) -> str:
    with Redis.from_url(url) as redis:
        redis.flushall()
    return url


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI everything is installed: a skipped test is a test that silently went missing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not _IN_CI:
        return
    if reporter.stats.get("skipped") and exitstatus == pytest.ExitCode.OK:
        reporter.write_line("CI=true: nothing may be skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
