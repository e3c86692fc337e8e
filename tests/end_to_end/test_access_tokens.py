"""Access tokens through the whole service: however many ask, one refresh, whatever Garmin says."""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dev.processes import free_port
from dev.servers import RedisServer
from dev.simulator import Simulator
from dev.stack import Stack
from shared.jobs.counters import JobCounters
from shared.redis.connection import connect
from tests.databases import PostgresDatabases
from tests.end_to_end.client import Client
from tests.end_to_end.conftest import stack_settings
from tests.end_to_end.connected import DI, App, change, eventually
from tests.programs import PROGRAMS


class Crowded(NamedTuple):
    """Two API processes and two workers."""

    stack: Stack
    client: Client
    ports: tuple[int, int]


@pytest.fixture(scope="module")
def crowded(
    postgres_databases: PostgresDatabases, running_simulator: Simulator, server_folder: Path
) -> Iterator[Crowded]:
    folder = server_folder / "crowded"
    folder.mkdir()
    with RedisServer(folder) as redis, postgres_databases.migrated() as database_url:
        settings = stack_settings(redis.url, database_url)
        environment = running_simulator.environment
        with Stack(folder, settings, environment, programs=PROGRAMS, migrated=True) as stack:
            ports = stack.port, free_port()
            second = stack.begin_api(ports[1])
            stack.start(workers=2)
            second.wait_ready()
            client = Client(stack.url)
            yield Crowded(stack, client, ports)
            client.close()
            stack.kill()


def refresh_jobs(stack: Stack) -> int:
    with connect(stack.settings["FITTRACK_REDIS_URL"], timeout=5) as redis:
        ended = JobCounters(redis).ended()
    return sum(count for (kind, _), count in ended.items() if kind == "refresh")


@pytest.mark.parametrize(("library", "callers"), [("garminconnect", 500), ("garth", 100)])
def test_many_callers_cause_one_refresh_and_all_get_an_answer(
    crowded: Crowded, garmin: Simulator, library: str, callers: int
) -> None:
    app = App(crowded.stack, garmin, crowded.client)
    app.connect(library)
    jobs = refresh_jobs(crowded.stack)
    garmin.configure(latency_ms=200)
    replies = asyncio.run(app.ask_at_once(callers, *crowded.ports))
    assert [reply.status_code for reply in replies] == [200] * callers
    assert len({reply.json()["access_token"] for reply in replies}) == 1
    assert app.is_own(replies[0])
    assert app.refreshes(library) == 1
    # Who read the row before it was renewed, and asks afterwards, starts a job that finds it done.
    assert refresh_jobs(crowded.stack) - jobs < callers / 10
    assert garmin.count("di_refreshes_reused") == 0


def test_a_hundred_who_had_the_same_token_rejected_cause_one_refresh(
    crowded: Crowded, garmin: Simulator
) -> None:
    app = App(crowded.stack, garmin, crowded.client)
    app.connect("garminconnect")
    old = app.ask().json()["access_token"]
    assert app.refreshes() == 1
    rejected = hashlib.sha256(old.encode()).hexdigest()
    replies = asyncio.run(app.ask_at_once(100, *crowded.ports, rejected=rejected))
    assert [reply.status_code for reply in replies] == [200] * 100
    [new] = {reply.json()["access_token"] for reply in replies}
    assert new != old
    assert app.refreshes() == 2


def test_tokens_of_a_library_that_no_longer_signs_in_are_refreshed(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    app = App(own_stack, garmin, own_client)
    app.connect("garminconnect")
    own_stack.workers[0].kill()
    own_stack.settings["FITTRACK_GARMIN_DRIVERS"] = "garth"
    own_stack.begin_worker().wait_ready()
    reply = app.ask()
    assert reply.status_code == 200, reply.text
    assert app.refreshes() == 1


def test_a_sign_in_that_finishes_while_the_old_tokens_are_refreshed_wins(
    stack: Stack, client: Client, garmin: Simulator
) -> None:
    app = App(stack, garmin, client)
    app.connect("garminconnect")
    jobs = refresh_jobs(stack)
    garmin.configure(latency_by_path={DI: 2000.0})
    assert app.ask(wait=0).status_code == 202
    eventually(app.begun)
    app.sign_in()
    assert refresh_jobs(stack) == jobs, "the refresh has ended before the sign-in"
    eventually(lambda: refresh_jobs(stack) == jobs + 1)
    assert app.refreshes() == 1
    assert app.link()["driver"] == "garth"
    assert app.is_own(app.ask())


@pytest.mark.parametrize(("grace", "status"), [(60, 200), (0, 409)])
def test_a_lost_answer_is_asked_for_once_more(
    stack: Stack, client: Client, garmin: Simulator, grace: int, status: int
) -> None:
    """Whether the same refresh token works again is Garmin's to say."""
    app = App(stack, garmin, client, f"refreshlost-{grace}@example.com")
    app.connect("garminconnect")
    garmin.configure(refresh_grace_s=grace)
    reply = app.ask()
    assert reply.status_code == status, reply.text
    assert garmin.count("di_refreshes_repeated") == (1 if grace else 2)
    assert garmin.count("di_refreshes_reused") == 0


@pytest.mark.parametrize(
    "word", ["refresh401", "refreshlimited", "refreshdown", "refreshcloudflare"]
)
def test_what_is_not_invalid_grant_ends_no_connection(
    stack: Stack, client: Client, garmin: Simulator, word: str
) -> None:
    app = App(stack, garmin, client, f"{word}-tessa@example.com")
    app.connect("garminconnect")
    reply = app.ask()
    # The stored token is still valid: it is better than none.
    assert reply.status_code == 200, reply.text
    assert app.link()["state"] == "active"


def test_a_revoked_connection_needs_a_sign_in_and_gets_it(
    stack: Stack, client: Client, garmin: Simulator
) -> None:
    app = App(stack, garmin, client)
    app.connect("garminconnect")
    garmin.revoke_tokens(app.username)
    reply = app.ask()
    assert (reply.status_code, reply.json()["code"]) == (409, "sign_in_required")
    assert reply.json()["reason"] == "rejected"
    app.connect("garminconnect")
    assert app.ask().status_code == 200


def test_a_connection_that_is_due_is_refreshed_though_nobody_asks(
    stack: Stack, client: Client, garmin: Simulator
) -> None:
    app = App(stack, garmin, client)
    app.connect("garminconnect")
    change(stack, "UPDATE garmin_tokens SET refresh_due_at = now()")
    eventually(lambda: app.refreshes() == 1)
    eventually(lambda: app.ask(wait=0).status_code == 200)
    time.sleep(2 * stack.timings.keep_alive_interval)
    assert app.refreshes() == 1
