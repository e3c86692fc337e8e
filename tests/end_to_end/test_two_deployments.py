"""Two deployments, each with a database of its own, on one Redis."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis

from dev.processes import Process, clean_environment
from dev.servers import RedisServer
from dev.simulator import Simulator
from dev.stack import BIN, Stack
from shared.jobs.kinds import QUEUES
from shared.keyspace import KeySpace
from tests.databases import migrated_sqlite
from tests.dev.wire import wait_until
from tests.end_to_end.client import Client
from tests.end_to_end.conftest import stack_settings
from tests.end_to_end.recorders import Flower, Recording
from tests.programs import PROGRAMS
from worker.celery_app import celery_app

OTHER = "shop"


@pytest.fixture
def other_stack(real_redis_url: str, garmin: Simulator, tmp_path: Path) -> Iterator[Stack]:
    """One with another database and prefix, not started."""
    folder = tmp_path / OTHER
    folder.mkdir()
    settings = stack_settings(real_redis_url, migrated_sqlite(folder / "other.db"))
    settings["FITTRACK_REDIS_PREFIX"] = OTHER
    with Stack(folder, settings, garmin.environment, programs=PROGRAMS, migrated=True) as stack:
        yield stack
        stack.kill()


@pytest.fixture
def other_client(other_stack: Stack) -> Iterator[Client]:
    client = Client(other_stack.url)
    yield client
    client.close()


def test_with_two_prefixes_each_has_its_own_jobs(
    own_stack: Stack,
    own_client: Client,
    other_stack: Stack,
    other_client: Client,
    real_redis_url: str,
) -> None:
    own_stack.start()
    other_stack.begin_api().wait_ready()
    waiting = other_client.submit_login("plain-otto@example.com")
    assert own_client.wait(own_client.submit_login("plain-ann@example.com"))["status"] == (
        "succeeded"
    )
    assert other_client.poll(waiting).json()["status"] == "queued"
    other_stack.begin_worker().wait_ready()
    assert other_client.wait(waiting)["status"] == "succeeded"
    asked = other_client.wait(other_client.submit_login("email-olga@example.com"))
    assert asked["status"] == "mfa_required"
    with Redis.from_url(real_redis_url) as redis:
        names = {key.decode() for key in (*redis.scan_iter(), *redis.pubsub_channels())}
    assert {name.partition(":")[0] for name in names} == {"fittrack", OTHER}
    for prefix in ("fittrack", OTHER):
        kinds = {name.split(":")[1] for name in names if name.startswith(f"{prefix}:")}
        assert {"celery", "job", "jobs", "jobs-ended"} <= kinds
        assert f"{prefix}:celery:_kombu.binding.login" in names
        app = celery_app(real_redis_url, keyspace=KeySpace(prefix))
        assert len(app.control.ping(timeout=5, limit=2)) == 1  # its own worker alone


def test_flower_shows_the_jobs_of_its_prefix(
    own_stack: Stack, own_client: Client, other_stack: Stack, other_client: Client, tmp_path: Path
) -> None:
    own_stack.start()
    other_stack.start()
    with Flower(tmp_path, other_stack.settings["FITTRACK_REDIS_URL"], Recording(), OTHER) as flower:
        own = own_client.submit_login("plain-ann@example.com")
        own_client.wait(own)
        other = other_client.submit_login("plain-otto@example.com")
        flower.wait_until_told(other["job_id"])
        tasks = flower.client.get("/api/tasks").raise_for_status().json()
        queues = flower.client.get("/api/queues/length").raise_for_status().json()
    assert set(tasks) == {other["job_id"]}
    assert {queue["name"] for queue in queues["active_queues"]} == set(QUEUES)


@pytest.fixture
def same_prefix(other_stack: Stack) -> Stack:
    """The other deployment, with another database, but the first one's prefix."""
    other_stack.settings["FITTRACK_REDIS_PREFIX"] = "fittrack"
    return other_stack


def refusal(process: Process, program: str) -> str:
    """The one line with which the process ended."""
    assert process.wait(60) not in (0, None)
    output = process.output()
    assert "Traceback" not in output
    [line] = [part for part in output.splitlines() if part.startswith(f"fittrack-auth {program}:")]
    return line


def test_a_second_deployment_with_the_same_prefix_does_not_start(
    own_stack: Stack, own_client: Client, same_prefix: Stack, real_redis_url: str
) -> None:
    own_stack.start()
    with Redis.from_url(real_redis_url) as redis:
        holder = redis.get("fittrack:deployment").decode()
    lines = [
        refusal(same_prefix.begin_api(), "api"),
        refusal(same_prefix.begin_worker(), "worker"),
    ]
    for line in lines:
        assert f"another deployment, with the database {holder}," in line
        assert "set another FITTRACK_REDIS_PREFIX" in line
    admin = subprocess.run(
        [BIN / "fittrack-auth-admin", "events"],
        env=clean_environment(same_prefix.settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (admin.returncode, admin.stdout) == (2, "")
    assert "set another FITTRACK_REDIS_PREFIX" in admin.stderr
    assert own_client.wait(own_client.submit_login("plain-ann@example.com"))["status"] == (
        "succeeded"
    )


def test_it_starts_when_the_first_has_been_stopped(
    own_stack: Stack, same_prefix: Stack, real_redis_url: str
) -> None:
    own_stack.start()
    own_stack.stop()
    with Redis.from_url(real_redis_url) as redis:
        lifetime = redis.pttl("fittrack:deployment")
        longest = own_stack.timings.deployment_mark
        assert 0 < lifetime <= longest * 1000
        wait_until(lambda: not redis.exists("fittrack:deployment"), longest + 5)
    same_prefix.start()


def test_one_that_started_without_redis_stops_when_it_meets_another(
    own_redis: RedisServer, own_stack: Stack
) -> None:
    own_stack.settings["FITTRACK_REDIS_URL"] = own_redis.url
    with Redis.from_url(own_redis.url) as redis:
        redis.set("fittrack:deployment", str(uuid4()), ex=600)
    own_redis.signal(signal.SIGSTOP)
    late = {
        own_stack.begin_api(): "Application startup complete",
        own_stack.begin_worker(): "transport:",
    }
    wait_until(lambda: all(text in process.output() for process, text in late.items()))
    own_redis.signal(signal.SIGCONT)
    for process in late:
        process.wait(60)
        assert "set another FITTRACK_REDIS_PREFIX" in process.output()
