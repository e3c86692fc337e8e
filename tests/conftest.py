"""Servers for tests: real Redis, fakeredis, PostgreSQL, SQLite, the simulated Garmin.

Each pytest process starts its own. None of them has to be installed.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from dev.servers import PostgresServer, RedisServer
from dev.simulator import Simulator
from dev.stack import new_key
from shared.crypto.keyring import Keyring
from shared.redis.connection import Redis
from tests.databases import PostgresDatabases, migrated_sqlite
from tests.fake_redis import FakeRedisServer
from tests.programs import FULL

hypothesis.settings.register_profile("full", max_examples=1000)
if FULL:
    hypothesis.settings.load_profile("full")


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
    """A real Redis that tests share and flush; what has to outlive a test has its own."""
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
    """A real PostgreSQL that tests share; those that stop it start their own."""
    with PostgresServer(_made(server_folder / "postgres")) as server:
        assert isinstance(server, PostgresServer)
        yield server


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: PostgresServer) -> PostgresDatabases:
    return PostgresDatabases(postgres_server.url)


@pytest.fixture
def empty_postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """An empty PostgreSQL database, not migrated."""
    with postgres_databases.empty() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """A migrated PostgreSQL database."""
    with postgres_databases.migrated() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A migrated SQLite database."""
    return migrated_sqlite(tmp_path / "test.db")


@pytest.fixture(params=["postgresql", "sqlite"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, not migrated; the test runs over PostgreSQL and over SQLite."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("empty_postgres_url")
        return url
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture(params=["postgresql", "sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database; the test runs over PostgreSQL and over SQLite."""
    fixture = {"postgresql": "postgres_url", "sqlite": "sqlite_url"}[request.param]
    url: str = request.getfixturevalue(fixture)
    return url


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: at the end, everybody else would wait for it."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _emptied(url: str) -> str:
    with Redis.from_url(url) as redis:
        redis.flushall()
    return url


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where a test was skipped: nothing that a test needs may be missing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    if reporter.stats.get("skipped") and exitstatus == pytest.ExitCode.OK:
        reporter.write_line("nothing may be skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
