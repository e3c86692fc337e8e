"""Two deployments, each with a database of its own, on one Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from dev.simulator import Simulator
from dev.stack import Stack
from shared.jobs.queue import celery_app
from shared.keyspace import KeySpace
from tests.databases import migrated_sqlite
from tests.end_to_end.client import Client
from tests.end_to_end.conftest import stack_settings
from tests.end_to_end.recorders import Flower, Recording
from tests.programs import PROGRAMS

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
    assert {queue["name"] for queue in queues["active_queues"]} == {"login", "mfa"}
