"""Refreshes while workers are killed and servers are away: no connection is lost.

Two test the worst that can be: a token whose refresh Garmin has answered, and nobody else knows.
"""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from dev.servers import RedisServer
from dev.simulator import Simulator
from dev.stack import Stack
from tests.end_to_end.client import Client
from tests.end_to_end.connected import (
    DI,
    App,
    eventually,
    forget_jobs,
    row_locked,
    signing_in_with,
)
from tests.end_to_end.database import wait_for_someone_locked_out
from tests.programs import FULL, PROGRAMS, TIMINGS

CONNECTIONS = 50
ROUNDS = 12 if FULL else 4
LIBRARY = "garminconnect"
GRACE_S = 3600
"""Of Garmin's, for a refresh whose answer got lost: assumed, where a worker dies with it."""


def connected(stack: Stack, client: Client, garmin: Simulator, *names: str) -> list[App]:
    apps = [App(stack, garmin, client, f"plain-{name}@example.com") for name in names]
    with signing_in_with(garmin, LIBRARY), ThreadPoolExecutor(16) as pool:
        list(pool.map(App.sign_in, apps))
    return apps


def test_a_worker_killed_before_during_and_after_a_refresh_loses_nothing(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    names = ("queued", "before", "during", "after")
    apps = connected(own_stack, own_client, garmin, *names)
    queued, before, during, after = apps
    garmin.configure(refresh_grace_s=GRACE_S, latency_by_path={DI: 1000.0})
    with ExitStack() as locks:
        locks.enter_context(row_locked(before))
        assert before.ask(wait=0).status_code == 202
        wait_for_someone_locked_out(own_stack.settings["FITTRACK_DATABASE_URL"])
        assert after.ask(wait=0).status_code == 202
        eventually(after.begun)
        locks.enter_context(row_locked(after))
        wait_for_someone_locked_out(own_stack.settings["FITTRACK_DATABASE_URL"], 2)
        garmin.configure(latency_by_path={DI: 5000.0})
        assert during.ask(wait=0).status_code == 202
        eventually(during.begun)
        time.sleep(0.5)  # the request is on its way
        own_stack.workers[0].kill()
        assert queued.ask(wait=0).status_code == 202
    garmin.configure(latency_by_path={})
    own_stack.begin_worker().wait_ready()
    for app in apps:
        assert app.is_own(app.refreshed())
    assert [app.refreshes() for app in apps] == [1, 1, 2, 1]
    assert garmin.count("di_refreshes_repeated") == 1
    assert garmin.count("di_refreshes_reused") == 0


def test_a_redis_that_is_restarted_or_away_loses_nothing(
    own_redis: RedisServer, frail_stack: Stack, garmin: Simulator
) -> None:
    """Away while Garmin answers, and once more with all that it knew about jobs forgotten."""
    client = Client(frail_stack.url)
    restarted, forgotten = connected(frail_stack, client, garmin, "restarted", "forgotten")
    # Longer than it takes the API to see that a job is gone.
    garmin.configure(latency_by_path={DI: 1000 * (TIMINGS.notification_silence + 3)})
    assert forgotten.ask(wait=0).status_code == 202
    eventually(forgotten.begun)
    forget_jobs(own_redis.url)
    assert forgotten.ask().status_code == 200  # the stored token, which is still valid
    # Redis knows of no job now. Another one waits for what the first one gets.
    eventually(lambda: forgotten.ask(wait=0).status_code == 202)
    assert forgotten.begun(), "the first one has ended too soon"
    eventually(lambda: not forgotten.begun())
    assert forgotten.refreshes() == 1

    garmin.configure(latency_by_path={DI: 1000.0})
    assert restarted.ask(wait=0).status_code == 202
    eventually(restarted.begun)
    own_redis.stop()
    eventually(lambda: restarted.refreshes() == 1)
    with RedisServer(own_redis.folder, own_redis.port):
        assert all(app.is_own(app.refreshed()) for app in (restarted, forgotten))
        assert (restarted.refreshes(), forgotten.refreshes()) == (1, 1)
        assert garmin.count("di_refreshes_reused") == garmin.count("di_refreshes_repeated") == 0
        client.close()
        frail_stack.kill()


@pytest.fixture
def second_service(own_stack: Stack, garmin: Simulator, tmp_path: Path) -> Iterator[Stack]:
    """Another deployment over the same database, with names in Redis of its own."""
    folder = tmp_path / "second"
    folder.mkdir()
    settings = own_stack.settings | {"FITTRACK_REDIS_PREFIX": "second"}
    with Stack(folder, settings, garmin.environment, programs=PROGRAMS, migrated=True) as stack:
        yield stack
        stack.kill()


@pytest.fixture
def second_client(second_service: Stack) -> Iterator[Client]:
    client = Client(second_service.url)
    yield client
    client.close()


@pytest.mark.long
def test_while_workers_of_two_services_are_killed_at_random_no_connection_is_lost(
    own_stack: Stack,
    own_client: Client,
    second_service: Stack,
    second_client: Client,
    garmin: Simulator,
) -> None:
    """Both are asked for the same connections, whose tokens work once, at the same time."""
    services = (own_stack, second_service)
    for service in services:
        service.start(workers=2)
    clients = (own_client, second_client)
    names = [f"killed{number}" for number in range(CONNECTIONS)]
    apps = connected(own_stack, own_client, garmin, *names)
    chance = random.Random()  # noqa: S311
    # What a refresh brings is stale again at once, so that each round refreshes all.
    garmin.configure(refresh_grace_s=GRACE_S, access_ttl_s=100, latency_by_path={DI: 100.0})
    with ThreadPoolExecutor(16) as pool:
        for number in range(ROUNDS):
            asked = [pool.submit(app.ask, 0, client) for app in apps for client in clients]
            assert {asking.result().status_code for asking in asked} <= {200, 202, 503}
            time.sleep(chance.uniform(0, 0.5))
            service = services[number % 2]
            chance.choice([worker for worker in service.workers if worker.running]).kill()
            service.begin_worker().wait_ready()
        garmin.configure(access_ttl_s=None)
        list(pool.map(works, apps))
    refreshed, again = garmin.count("di_refreshes"), used_again(garmin)
    taken_over = sum(runs_of_lost_workers(service) for service in services)
    print(f"{refreshed} refreshes, {taken_over} jobs taken over, {again} tokens sent again")
    assert refreshed >= 2 * CONNECTIONS
    assert again <= taken_over


def works(app: App) -> None:
    assert app.is_own(app.refreshed())
    assert app.link()["state"] == "active"


def used_again(garmin: Simulator) -> int:
    """Where a worker died between Garmin's answer and its seal, Garmin may call it delivered."""
    return garmin.count("di_refreshes_reused") + garmin.count("di_refreshes_repeated")


def runs_of_lost_workers(service: Stack) -> int:
    """How often a job was begun again: only then may a refresh token be sent once more."""
    prefix = service.settings.get("FITTRACK_REDIS_PREFIX", "fittrack")
    with Redis.from_url(service.settings["FITTRACK_REDIS_URL"]) as redis:
        jobs = [key for key in redis.scan_iter(f"{prefix}:job:*") if key.count(b":") == 2]
        runs = [int(redis.hget(key, "runs") or 0) for key in jobs]
    return sum(max(0, each - 1) for each in runs)
