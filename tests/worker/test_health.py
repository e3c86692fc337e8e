"""The health check of a worker, beside a real one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from dev.processes import ROOT, Process, clean_environment
from dev.servers import RedisServer
from dev.stack import SHORT, Stack, new_key
from shared.redis.connection import RedisHealth, connect
from worker.health import MAX_AGE
from worker.heartbeat import Heartbeat


@pytest.fixture
def heartbeat(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat"


@pytest.fixture
def redis(redis_server: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    assert redis_server.running
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def worker(redis: RedisServer, heartbeat: Path, tmp_path: Path) -> Iterator[Process]:
    settings = {
        "FITTRACK_REDIS_URL": redis.url,
        "FITTRACK_DATABASE_URL": f"sqlite:///{tmp_path}/fittrack.db",
        "FITTRACK_ENCRYPTION_KEYS": new_key(),
        "FITTRACK_HEARTBEAT_FILE": str(heartbeat),
    }
    with Stack(tmp_path, settings, programs=SHORT) as stack:
        stack.migrate()
        yield stack.begin_worker().wait_ready()


def check(heartbeat: Path) -> subprocess.CompletedProcess[str]:
    """As the container's health check runs it: with no setting but the file."""
    return subprocess.run(
        [sys.executable, "-m", "worker.health"],
        cwd=ROOT,
        env=clean_environment({"FITTRACK_HEARTBEAT_FILE": str(heartbeat)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def make_old(heartbeat: Path) -> None:
    long_ago = time.time() - MAX_AGE - 1
    os.utime(heartbeat, (long_ago, long_ago))


def becomes_healthy(heartbeat: Path) -> None:
    ends_at = time.monotonic() + 60
    while check(heartbeat).returncode:
        assert time.monotonic() < ends_at, "it stays unhealthy"


def stays_unhealthy(heartbeat: Path, seconds: float = 3) -> None:
    make_old(heartbeat)
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        ended = check(heartbeat)
        assert ended.returncode == 1
        assert ended.stdout == ""
        assert ended.stderr.startswith("fittrack-auth worker: no heartbeat for ")
        assert ended.stderr.count("\n") == 1


def test_a_worker_is_healthy_until_it_is_stopped(worker: Process, heartbeat: Path) -> None:
    becomes_healthy(heartbeat)
    assert heartbeat.stat().st_mode & 0o777 == 0o600
    worker.signal(signal.SIGSTOP)
    try:
        stays_unhealthy(heartbeat)
    finally:
        worker.signal(signal.SIGCONT)
    becomes_healthy(heartbeat)
    worker.stop()
    make_old(heartbeat)
    assert check(heartbeat).returncode == 1


def test_a_worker_without_its_broker_is_not_healthy(
    worker: Process, redis: RedisServer, heartbeat: Path
) -> None:
    becomes_healthy(heartbeat)
    redis.stop()
    time.sleep(1)  # for a heartbeat under way
    stays_unhealthy(heartbeat)
    with RedisServer(redis.folder, redis.port):
        becomes_healthy(heartbeat)


def test_a_worker_that_never_started_is_not_healthy(heartbeat: Path) -> None:
    ended = check(heartbeat)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"fittrack-auth worker: no heartbeat: {heartbeat}: No such file or directory\n"
    )


@pytest.mark.parametrize("occupy", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/etc")])
def test_a_heartbeat_file_that_somebody_else_has_put_there_is_neither_written_nor_believed(
    heartbeat: Path,
    redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
    occupy: Callable[[Path], None],
) -> None:
    occupy(heartbeat)
    before = os.lstat(heartbeat)
    with connect(redis_server.url, timeout=5) as broker:
        beating = Heartbeat(heartbeat, RedisHealth(broker), 60)
        beating.tick()
        thread = Thread(target=beating.beat, daemon=True)
        thread.start()
        thread.join(20)
    assert not thread.is_alive(), "it waits for a reader"
    assert "can't be written" in caplog.text
    assert os.lstat(heartbeat).st_mtime_ns == before.st_mtime_ns
    ended = check(heartbeat)
    assert ended.returncode == 1
    assert ended.stderr == f"fittrack-auth worker: no heartbeat: {heartbeat} is no file\n"


def test_it_needs_neither_celery_nor_settings() -> None:
    program = "import sys, worker.health; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", program],  # without installed packages
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ours = {name for name in loaded.stdout.split() if name.startswith(("worker", "shared"))}
    assert ours == {"worker", "worker.health"}
