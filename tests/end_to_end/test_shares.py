"""Accounts for which Garmin never answers, from few addresses: everybody else goes on."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from redis import Redis

from dev.operator import admin
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack
from tests.end_to_end.client import Client, Json
from tests.end_to_end.recorders import wait_until
from tests.end_to_end.test_guards import credentials, post
from worker.shares import kept_for_urgent

pytestmark = pytest.mark.long

THREADS = 32
"""Of a worker, by default."""

ATTACKERS = 5
ACCOUNTS = 40
"""How many hang, for each attacker: six times as many as a worker has threads, in all."""


@pytest.fixture
def shared(own_stack: Stack) -> Stack:
    """An API and one worker with the threads and the shares that a new installation has."""
    for name in ("FITTRACK_SHARE_PER_IP", "FITTRACK_SHARE_PER_CLIENT"):
        del own_stack.settings[name]
    return own_stack.start()


@pytest.fixture
def clients(shared: Stack) -> Iterator[list[Client]]:
    """One for each of some addresses."""
    with ExitStack() as exit:
        clients = [
            Client(shared.url, address=f"127.0.0.{number}") for number in range(2, 4 + ATTACKERS)
        ]
        for client in clients:
            exit.callback(client.close)
        yield clients


def hanging(client: Client, number: int, **headers: str) -> Json:
    body = credentials(f"hang-{number}@example.com", PASSWORD)
    answer = post(client, "/api/garmin/login", body, **headers)
    assert answer.status_code == 202, answer.text
    submitted: Json = answer.json()
    return submitted


def unended(client: Client, jobs: list[Json]) -> list[str]:
    """The statuses of the jobs that have not ended."""
    statuses = [client.poll(job).json()["status"] for job in jobs]
    return [status for status in statuses if status in ("queued", "running")]


def goes_on(
    stranger: Client, neighbour: Client, challenge: Json, garmin: Simulator, attack: list[Json]
) -> None:
    """A stranger's sign-in and a neighbour's code are done while most of the attack still waits."""
    signed_in = stranger.login("plain-stranger@example.com")
    assert signed_in["status"] == "succeeded", signed_in
    with_code = neighbour.send_code(challenge, garmin.code("email-neighbour@example.com"))
    assert with_code["status"] == "succeeded", with_code
    left = unended(stranger, attack)
    assert len(left) > len(attack) / 2
    assert left.count("queued") > left.count("running")


def test_five_addresses_with_hanging_accounts_leave_room_for_others(
    clients: list[Client], garmin: Simulator
) -> None:
    stranger, *attackers = clients
    neighbour = attackers[0]  # behind the same address as an attacker
    challenge = neighbour.login("email-neighbour@example.com")
    assert challenge["status"] == "mfa_required", challenge
    attack = [
        hanging(attacker, number * ACCOUNTS + account)
        for account in range(ACCOUNTS)
        for number, attacker in enumerate(attackers[:ATTACKERS])
    ]
    goes_on(stranger, neighbour, challenge, garmin, attack)


def test_an_app_with_hanging_accounts_leaves_room_for_others(
    clients: list[Client], garmin: Simulator, shared: Stack
) -> None:
    app = {"X-Client-Key": admin(shared, "clients", "add", "app")}
    stranger, neighbour, *servers = clients
    challenge = neighbour.login("email-neighbour@example.com")
    attack = [hanging(servers[number % ATTACKERS], number, **app) for number in range(3 * ACCOUNTS)]
    goes_on(stranger, neighbour, challenge, garmin, attack)


def test_codes_have_threads_where_sign_ins_hold_all_that_they_may(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    """Without shares. The other sign-ins stay in their queue, and cost nothing."""
    own_stack.start()
    username = "email-neighbour@example.com"
    challenge = own_client.login(username)
    attack = [hanging(own_client, number) for number in range(3 * THREADS)]
    sign_ins = THREADS - kept_for_urgent(THREADS)

    def running() -> int:
        with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
            at_once = redis.pipeline(transaction=True)
            for job in attack:
                at_once.hget(f"fittrack:job:{job['job_id']}", "status")
            count = at_once.execute().count(b"running")
        assert count <= sign_ins
        return int(count)

    wait_until(lambda: running() == sign_ins)
    with_code = own_client.send_code(challenge, garmin.code(username))
    assert with_code["status"] == "succeeded", with_code
    assert "Retry in 0s" not in own_stack.workers[0].output()


def test_a_crowd_behind_one_address_is_served_in_turn(
    clients: list[Client], garmin: Simulator
) -> None:
    """More than its share, one after the other, and each with one run and one password."""
    crowd, names = clients[0], [f"plain-{number}@example.com" for number in range(30)]
    garmin.configure(latency_ms=200)
    jobs = [crowd.submit_login(name) for name in names]
    for job in jobs:
        ended = crowd.wait(job)
        assert ended["status"] == "succeeded", ended
    assert garmin.count("credential_posts") == len(names)
