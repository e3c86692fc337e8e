"""What one refused person costs the others: nothing, over a running stack."""

import json
from typing import Any

import pytest

from dev.operator import admin
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack
from tests.end_to_end.client import Client

CLIENTS = ("GCM_ANDROID_DARK", "GCM_IOS_DARK", "widget")
DRIVERS = ("garth", "garminconnect")
LIMITED = "garmin_rate_limited"


def drivers(stack: Stack) -> list[dict[str, Any]]:
    return [json.loads(line) for line in admin(stack, "drivers", "list", "--json").splitlines()]


def open_to_others(client: Client, name: str) -> None:
    assert client.login(f"plain-{name}@example.com")["status"] == "succeeded"


@pytest.mark.parametrize("word", ["limited", "limited-after", "limitedbody", "http427", "mfa427"])
def test_one_throttled_account_closes_the_service_to_nobody_else(
    client: Client, garmin: Simulator, stack: Stack, word: str
) -> None:
    username = f"{word}-fay@example.com"
    body = {"username": username, "password": PASSWORD}
    for posts in (1, 2):  # by one library, then by the other
        refused = client.login(username)
        assert refused["error"]["code"] == LIMITED
        assert 60 < refused["error"]["retry_after"] <= 900
        assert garmin.count("credential_posts", username) == posts
        open_to_others(client, f"gus-{posts}")
    for _ in range(3):
        waiting = client.http.post("/api/garmin/login", json=body)
        assert waiting.status_code == 503
        assert 60 < int(waiting.headers["Retry-After"]) <= 900
    assert garmin.count("credential_posts", username) == 2
    open_to_others(client, "ida")
    assert [driver["status"] for driver in drivers(stack)] == ["awake", "awake"]
    assert [driver["accounts_waiting"] for driver in drivers(stack)] == [1, 1]


@pytest.mark.parametrize("word", ["codelimited", "codelimitedbody", "codelimited-after"])
def test_refused_codes_close_the_service_to_nobody_else(
    client: Client, garmin: Simulator, stack: Stack, word: str
) -> None:
    for name in ("anna", "bob", "carl", "dora"):
        username = f"{word}-{name}@example.com"
        refused = client.login_with_code(garmin, username)
        assert refused["error"]["code"] == LIMITED
        assert garmin.count("credential_posts", username) == 1
        assert garmin.count("codes_checked", username) == 1
    assert all(driver["status"] == "awake" for driver in drivers(stack))
    open_to_others(client, "gus")


def test_a_refused_ticket_closes_the_service_to_nobody_else(
    client: Client, garmin: Simulator, stack: Stack
) -> None:
    client.login("ticket401-plain-fay@example.com")
    client.login("ticket401-direfused-plain-gus@example.com")
    assert all(driver["status"] == "awake" for driver in drivers(stack))
    open_to_others(client, "ida")


def test_three_throttled_accounts_rest_the_library_and_the_next_one_is_used(
    client: Client, garmin: Simulator, stack: Stack
) -> None:
    garmin.configure(refuse={"GCM_ANDROID_DARK": {"status": 429, "retry_after": 500}})
    for name in ("anna", "bob", "carl"):
        assert client.login(f"plain-{name}@example.com")["error"]["code"] == LIMITED
    open_to_others(client, "dora")
    garth, other = drivers(stack)
    assert garth["status"] == "resting"
    assert garth["everybody"]["why"] == "accounts"
    assert garth["accounts_waiting"] == 3
    assert other["status"] == "awake"
    assert "driver garth rests for everybody for 500 s" in stack.workers[0].log.read_text()


def test_a_refused_address_rests_for_everybody_until_the_operator_wakes_it(
    client: Client, garmin: Simulator, stack: Stack
) -> None:
    garmin.configure(refuse={key: {"status": 403} for key in CLIENTS})
    username = "plain-anna@example.com"
    assert client.login(username)["error"]["code"] == LIMITED
    assert garmin.count("credential_posts", username) == 3
    body = {"username": "plain-bob@example.com", "password": PASSWORD}
    assert client.http.post("/api/garmin/login", json=body).status_code == 503
    assert [driver["everybody"]["why"] for driver in drivers(stack)] == ["client", "client"]
    garmin.configure(refuse={})
    for name in DRIVERS:
        assert admin(stack, "drivers", "wake", name) == f"{name} is awake"
    for name in ("anna", "bob"):
        open_to_others(client, name)
    assert admin(stack, "drivers") == "garth\tawake\ngarminconnect\tawake"
