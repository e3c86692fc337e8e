"""Access tokens through the whole service: many ask, one refresh; whoever dies, none is lost."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import create_engine, text

from dev.processes import free_port
from dev.simulator import PASSWORD, Simulator
from dev.stack import Stack
from shared.accounts.clients import ClientRepository
from shared.database.engine import Database
from shared.jobs.counters import JobCounters
from shared.redis.connection import connect
from tests.dev.wire import wire
from tests.end_to_end.client import Client
from tests.end_to_end.database import locked, wait_for_someone_locked_out

DI = "/di-oauth2-service/oauth/token"
CALLERS = 500
CONNECTIONS = 20
ROUNDS = 5
STALE_S = 100
LIBRARIES = pytest.mark.parametrize("library", ["garth", "garminconnect"])


@dataclass
class App:
    """An app of a stack, and the connection of one person, whose token is soon over."""

    stack: Stack
    garmin: Simulator
    client: Client
    username: str = "plain-tessa@example.com"

    def __post_init__(self) -> None:
        database = Database(self.stack.settings["FITTRACK_DATABASE_URL"])
        _, key = database.run(lambda s: ClientRepository(s).add(f"app-{time.time_ns()}"))
        database.close()
        self.headers = {"X-Client-Key": key}
        self.path = "/api/users/tessa/garmin/token"

    def connect(self, library: str) -> None:
        """Sign in; with `garminconnect`, garth's ticket is redeemed at DI."""
        refuse = {"oauth1": {"status": 403}} if library == "garminconnect" else {}
        self.garmin.configure(access_ttl_s=STALE_S, refuse=refuse)
        login = {"username": self.username, "password": PASSWORD, "user_id": "tessa"}
        job = self.client.http.post("/api/garmin/login", json=login, headers=self.headers)
        assert job.status_code == 202, job.text
        signed_in = self.client.wait(job.json())
        assert signed_in["status"] == "succeeded", signed_in
        self.garmin.configure(access_ttl_s=None, refuse={})
        link = self.client.http.get("/api/users/tessa/garmin", headers=self.headers).json()
        assert link["garmin"]["driver"] == library

    def ask(self, wait: int = 30) -> httpx.Response:
        return self.client.http.post(self.path, params={"wait": wait}, headers=self.headers)

    async def ask_at_once(self, callers: int, *ports: int) -> list[httpx.Response]:
        """Ask the APIs at these ports in turn, all at once."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
            asking = (
                client.post(
                    f"http://127.0.0.1:{ports[number % len(ports)]}{self.path}",
                    params={"wait": 30},
                    headers=self.headers,
                )
                for number in range(callers)
            )
            return await asyncio.gather(*asking)

    def refresh_jobs(self) -> int:
        return _count_jobs(self.stack.settings["FITTRACK_REDIS_URL"])

    def refreshes(self, library: str) -> int:
        """How often Garmin was asked to renew, sign-in aside."""
        if library == "garminconnect":
            return self.garmin.count("di_refreshes", self.username)
        return self.garmin.count("oauth2_exchanges", self.username) - 1


def _count_jobs(redis_url: str) -> int:
    with connect(redis_url, timeout=5) as redis:
        ended = JobCounters(redis).ended()
    return sum(count for (kind, _), count in ended.items() if kind == "refresh")


def whose(garmin: Simulator, access_token: str) -> str:
    with wire(garmin) as browser:
        guid: str = browser.profile(access_token).json()["garminGUID"]
        return guid


@LIBRARIES
def test_many_callers_cause_one_refresh_and_all_get_an_answer(
    own_stack: Stack, own_client: Client, garmin: Simulator, library: str
) -> None:
    second = free_port()
    own_stack.start(workers=2)
    own_stack.begin_api(second).wait_ready()
    app = App(own_stack, garmin, own_client)
    app.connect(library)
    garmin.configure(latency_ms=200)
    replies = asyncio.run(app.ask_at_once(CALLERS, own_stack.port, second))
    assert [reply.status_code for reply in replies] == [200] * CALLERS
    [token] = {reply.json()["access_token"] for reply in replies}
    assert whose(garmin, token) == garmin.account(app.username)["profile"]["garminGUID"]
    assert app.refreshes(library) == 1
    # Who read the row before it was renewed, and asks afterwards, starts a job that finds it done.
    assert app.refresh_jobs() < CALLERS / 10
    assert garmin.count("di_refreshes_reused") == 0


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
    assert app.refreshes("garminconnect") == 1


def test_a_worker_killed_between_garmins_answer_and_the_database_loses_nothing(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    app = App(own_stack, garmin, own_client)
    app.connect("garminconnect")
    garmin.configure(latency_by_path={DI: 2000.0})
    assert app.ask(wait=0).status_code == 202
    eventually(lambda: begun(own_stack))
    with locked(own_stack.settings["FITTRACK_DATABASE_URL"], "garmin_tokens"):
        wait_for_someone_locked_out(own_stack.settings["FITTRACK_DATABASE_URL"])
        own_stack.workers[0].kill()
    garmin.configure(latency_by_path={})
    own_stack.begin_worker().wait_ready()
    reply = app.ask()
    assert reply.status_code == 200, reply.text
    assert app.refreshes("garminconnect") == 1
    assert garmin.count("di_refreshes_reused") == 0
    assert whose(garmin, reply.json()["access_token"])


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
    link = client.http.get("/api/users/tessa/garmin", headers=app.headers).json()
    assert link["garmin"]["state"] == "active"


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
    eventually(lambda: app.refreshes("garminconnect") == 1)
    eventually(lambda: app.ask(wait=0).status_code == 200)
    time.sleep(2 * stack.timings.keep_alive_interval)
    assert app.refreshes("garminconnect") == 1


@pytest.mark.long
def test_while_workers_are_killed_at_random_no_connection_is_lost(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    """A refresh whose worker died is repeated: Garmin's grace for that is assumed here."""
    own_stack.start(workers=3)
    people = [
        App(own_stack, garmin, own_client, f"plain-killed{number}@example.com")
        for number in range(CONNECTIONS)
    ]
    for app in people:
        app.connect("garminconnect")
    chance = random.Random()  # noqa: S311
    garmin.configure(refresh_grace_s=3600, latency_by_path={DI: 100.0})
    for _ in range(ROUNDS):
        change(own_stack, "UPDATE garmin_tokens SET access_expires_at = now()")
        for app in people:
            app.ask(wait=0)
        time.sleep(chance.uniform(0, 0.5))
        chance.choice(own_stack.workers[-3:]).kill()
        own_stack.begin_worker().wait_ready()
    change(own_stack, "UPDATE garmin_tokens SET access_expires_at = now()")
    for app in people:
        eventually(lambda app=app: app.ask().status_code == 200)  # type: ignore[misc]
        guid = garmin.account(app.username)["profile"]["garminGUID"]
        assert whose(garmin, app.ask().json()["access_token"]) == guid
    assert garmin.count("di_refreshes_reused") == 0


def begun(stack: Stack) -> bool:
    engine = create_engine(stack.settings["FITTRACK_DATABASE_URL"])
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM garmin_tokens WHERE refresh_begun IS NOT NULL")
        found: int = connection.execute(query).scalar_one()
    engine.dispose()
    return found > 0


def change(stack: Stack, statement: str) -> None:
    engine = create_engine(stack.settings["FITTRACK_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def eventually(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        time.sleep(0.05)
