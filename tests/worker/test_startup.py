"""A worker that can't work says why in one line and ends; one that can takes jobs."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from dev.processes import ROOT, Process, clean_environment, says
from dev.stack import BIN, new_key
from shared.errors import ConfigurationError
from shared.jobs.kinds import KINDS
from shared.jobs.states import JobKind
from shared.redis.connection import connect
from shared.redis.measurements import Measurements
from shared.settings import KNOWN_DRIVERS, Settings
from shared.timings import PRODUCTION
from tests.databases import migrated_sqlite
from tests.shared.samples import nothing_listens
from worker.handlers.login import LoginHandler
from worker.handlers.refresh import RefreshHandler
from worker.startup import build_runner, check_environment, open_database

PASSWORD = "database-password"


@pytest.mark.parametrize(
    "name",
    ["GARTH_HOME", "GARTH_TOKEN", "GARTH_TELEMETRY_ENABLED", "garth_home", "Garth_Token"],
)
def test_what_makes_garth_share_one_account_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_environment({"PATH": "/bin", name: "plain-text-garmin-token"})
    assert name in str(caught.value)
    assert "plain-text-garmin-token" not in str(caught.value)


def test_every_trap_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match="GARTH_HOME, GARTH_TOKEN"):
        check_environment({"GARTH_TOKEN": "x", "GARTH_HOME": "y"})


def test_an_ordinary_environment_is_fine() -> None:
    check_environment({"PATH": "/bin", "HTTPS_PROXY": "http://127.0.0.1:1", "GARTH": "x"})


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> str:
    return migrated_sqlite(tmp_path_factory.mktemp("migrated") / "fittrack.db")


@pytest.fixture
def good(migrated: str) -> dict[str, str]:
    """Settings of a worker that starts, but for a Redis, which it does not need for that."""
    return {
        "FITTRACK_REDIS_URL": f"redis://{nothing_listens()}/0",
        "FITTRACK_DATABASE_URL": migrated,
        "FITTRACK_ENCRYPTION_KEYS": new_key(),
    }


def test_only_the_drivers_that_are_set_sign_in_and_all_refresh(
    good: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for names in (("garth",), ("garminconnect",), ("garminconnect", "garth")):
        for name, value in (good | {"FITTRACK_GARMIN_DRIVERS": ",".join(names)}).items():
            monkeypatch.setenv(name, value)
        settings = Settings.from_environment()
        database = open_database(settings, PRODUCTION)
        handlers = build_runner(settings, database, PRODUCTION, 32, Measurements()).handlers
        assert set(handlers) == set(KINDS)
        handler = handlers[JobKind.LOGIN]
        database.close()
        assert isinstance(handler, LoginHandler)
        assert tuple(handler.chain._drivers) == names
        refreshes = handlers[JobKind.REFRESH]
        assert isinstance(refreshes, RefreshHandler)
        assert set(refreshes.drivers) == set(KNOWN_DRIVERS)


def end_of_a_worker(settings: dict[str, str], *options: str) -> str:
    """The one line with which a real worker ends at the start."""
    ended = subprocess.run(
        [BIN / "celery", "-A", "worker.main", "worker", *options],
        cwd=ROOT,
        env=clean_environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode not in (0, None)
    said = ended.stdout + ended.stderr
    assert "Traceback" not in said
    assert PASSWORD not in said
    lines = [line for line in ended.stderr.splitlines() if line.startswith("fittrack-auth worker:")]
    assert len(lines) == 1, said
    assert ended.stderr.rstrip().endswith(lines[0])
    return lines[0]


def test_a_faulty_key_ends_a_worker(good: dict[str, str]) -> None:
    line = end_of_a_worker(good | {"FITTRACK_ENCRYPTION_KEYS": "a:c2hvcnQ="})
    assert "FITTRACK_ENCRYPTION_KEYS: the key 'a' has 5 bytes, it needs 32" in line
    assert "c2hvcnQ" not in line


def test_an_unknown_driver_ends_a_worker(good: dict[str, str]) -> None:
    line = end_of_a_worker(good | {"FITTRACK_GARMIN_DRIVERS": "garth,fenix"})
    assert "FITTRACK_GARMIN_DRIVERS" in line


def test_missing_settings_end_a_worker() -> None:
    line = end_of_a_worker({})
    for name in ("FITTRACK_REDIS_URL", "FITTRACK_DATABASE_URL", "FITTRACK_ENCRYPTION_KEYS"):
        assert f"{name}: is required" in line


def test_an_unmigrated_database_ends_a_worker(good: dict[str, str], tmp_path: Path) -> None:
    line = end_of_a_worker(good | {"FITTRACK_DATABASE_URL": f"sqlite:///{tmp_path}/new.db"})
    assert "run `alembic upgrade head`" in line


def test_an_unreachable_database_ends_a_worker(good: dict[str, str]) -> None:
    url = f"postgresql+psycopg://fit:{PASSWORD}@{nothing_listens()}/fit"
    line = end_of_a_worker(good | {"FITTRACK_DATABASE_URL": url})
    assert "check FITTRACK_DATABASE_URL" in line


def test_a_token_for_garth_ends_a_worker(good: dict[str, str]) -> None:
    assert "GARTH_TOKEN" in end_of_a_worker(good | {"GARTH_TOKEN": "x"})


def test_an_unknown_setting_ends_a_worker(good: dict[str, str]) -> None:
    line = end_of_a_worker(good | {"FITTRACK_JOBTTL": "300"})
    assert "FITTRACK_JOBTTL: is not a setting, did you mean FITTRACK_JOB_TTL?" in line


@pytest.mark.parametrize("options", [["-P", "prefork"], ["--pool=solo"], ["-Pprocesses"]])
def test_another_pool_than_threads_ends_a_worker(good: dict[str, str], options: list[str]) -> None:
    assert "jobs run in threads alone" in end_of_a_worker(good, *options)


def test_flower_tells_in_one_line_that_its_port_is_in_use(good: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = subprocess.run(
            [BIN / "celery", "-A", "worker.main", "flower", "--address=127.0.0.1"],
            cwd=ROOT,
            env=clean_environment(good | {"FLOWER_PORT": str(port)}),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"fittrack-auth flower: port {port} is in use: choose another one with --port"
    ]


def test_a_worker_with_everything_right_gets_ready(
    good: dict[str, str], real_redis_url: str, tmp_path: Path
) -> None:
    with Process(
        "worker",
        [BIN / "celery", "-A", "worker.main", "worker", "-P", "threads", "--loglevel", "INFO"],
        tmp_path / "worker.log",
        clean_environment(good | {"FITTRACK_REDIS_URL": real_redis_url}),
        says(" ready."),
    ) as worker:
        said = worker.output()
        with connect(real_redis_url, timeout=30) as redis:
            assert redis.exists("fittrack:celery:_kombu.binding.login")
    assert "garmin.login" in said
    assert "garmin.complete_mfa" in said
    assert "concurrency: 32 (thread)" in said
    assert "SecurityWarning" not in said
    assert ("the worker runs as root" in said) == (os.geteuid() == 0)
    assert worker.exit_code == 0
