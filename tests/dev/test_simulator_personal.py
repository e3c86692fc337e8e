"""The simulated Personal API, on the wire."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from dev.simulator import Simulator
from tests.dev.wire import PROFILE, Wire, wire

API = "https://personal.connectapi.garmin.com"
TOKEN = f"{API}/personalapitoken-service/personal-api/personal-api-key/token"
SETTINGS = f"{API}/userprofile-service/userprofile/settings"
ANNA = "plain-anna@example.com"
DAY_S = 24 * 3600


def exchange(client: Wire, key: str, scheme: str = "ApiKey") -> requests.Response:
    return client.post(TOKEN, headers={"Authorization": f"{scheme} {key}", "Accept": "*/*"})


def key_of(word: str) -> str:
    return f"key-{word}-anna@example.com"


def claims(reply: requests.Response) -> dict[str, Any]:
    payload = reply.text.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def settings(client: Wire, token: str, url: str = SETTINGS) -> requests.Response:
    return client.get(url, headers={"Authorization": f"Bearer {token}"})


def test_a_key_is_exchanged_for_a_token_of_one_day(client: Wire, garmin: Simulator) -> None:
    reply = exchange(client, key_of("plain"))
    assert (reply.status_code, reply.text.count(".")) == (200, 2)
    told = claims(reply)
    assert told["exp"] - told["iat"] == DAY_S
    assert told["garmin_guid"] == garmin.account(ANNA)["profile"]["garminGUID"]
    assert "refresh_token" not in reply.text
    assert garmin.count("key_exchanges", ANNA) == 1
    garmin.advance_clock(DAY_S + 1)
    assert settings(client, reply.text).status_code == 401
    assert settings(client, exchange(client, key_of("plain")).text).status_code == 200


def test_settings_say_whose_the_key_is(client: Wire, garmin: Simulator) -> None:
    reply = exchange(client, "key-keynoguid-bob@example.com")
    assert "garmin_guid" not in claims(reply)
    profile = garmin.account("keynoguid-bob@example.com")["profile"]
    found = settings(client, reply.text)
    assert found.json()["displayName"] == profile["displayName"]
    assert profile["garminGUID"] not in found.text


def test_each_host_takes_its_own_tokens_only(client: Wire) -> None:
    personal = exchange(client, key_of("plain")).text
    di = client.di_tokens(ANNA)["access_token"]
    assert client.profile(personal).status_code == 401
    assert settings(client, personal, SETTINGS.replace("personal.", "")).status_code == 401
    assert settings(client, di).status_code == 401
    assert settings(client, personal, PROFILE.replace("//", "//personal.")).status_code == 404


@pytest.mark.parametrize("status", [401, 403])
def test_a_dead_key_is_refused(client: Wire, garmin: Simulator, status: int) -> None:
    garmin.configure(dead_key_status=status)
    made = garmin.make_key(ANNA)
    dead = [key_of("keyrevoked"), "no such key", "key-", ""]
    assert [exchange(client, key).status_code for key in dead] == [status] * 4
    assert exchange(client, made, scheme="Bearer").status_code == status
    assert exchange(client, made).status_code == 200


def test_a_key_is_revoked_with_what_it_was_exchanged_for(client: Wire, garmin: Simulator) -> None:
    made, spelled, other = (
        garmin.make_key(ANNA),
        key_of("plain"),
        garmin.make_key("bob@example.com"),
    )
    tokens = [exchange(client, key).text for key in (made, spelled, other)]
    di = client.di_tokens(ANNA)["access_token"]
    assert garmin.revoke_keys(ANNA) == 2
    assert [settings(client, token).status_code for token in tokens] == [401, 401, 200]
    assert [exchange(client, key).status_code for key in (made, spelled)] == [401, 401]
    assert client.profile(di).status_code == 200
    assert made in garmin.issued()["personal_api_key"]
    assert tokens[0] in garmin.issued()["access_token"]


def test_a_token_never_outlives_its_key(client: Wire, garmin: Simulator) -> None:
    made = garmin.make_key(ANNA, days=30)
    garmin.advance_clock(29.75 * DAY_S)
    told = claims(exchange(client, made))
    assert told["exp"] - told["iat"] == pytest.approx(DAY_S / 4, abs=5)
    garmin.advance_clock(DAY_S / 4)
    assert exchange(client, made).status_code == 401


def test_an_ending_key_has_ten_days_left(client: Wire, garmin: Simulator) -> None:
    assert exchange(client, key_of("keyending")).status_code == 200
    garmin.advance_clock(9.5 * DAY_S)
    told = claims(exchange(client, key_of("keyending")))
    assert told["exp"] - told["iat"] == pytest.approx(DAY_S / 2, abs=5)
    garmin.advance_clock(DAY_S)
    assert exchange(client, key_of("keyending")).status_code == 401


def test_twelve_requests_at_once_are_too_many(garmin: Simulator) -> None:
    def status(number: int) -> tuple[int, str | None]:
        with wire(garmin) as client:
            reply = exchange(client, key_of("plain"))
            return reply.status_code, reply.headers.get("Retry-After")

    garmin.configure(personal_window_s=60)
    with ThreadPoolExecutor(12) as pool:
        replies = sorted(pool.map(status, range(12)))
    assert [code for code, _ in replies] == [200] * 11 + [429]
    assert 0 < int(str(replies[-1][1])) <= 60
    garmin.advance_clock(60)
    assert status(0) == (200, None)


def test_reads_count_against_the_same_limit(client: Wire, garmin: Simulator) -> None:
    garmin.configure(personal_limit=2, personal_window_s=60)
    token = exchange(client, key_of("plain")).text
    assert [settings(client, token).status_code for _ in range(2)] == [200, 429]
    other = exchange(client, "key-plain-bob@example.com").text
    assert settings(client, other).status_code == 200


@pytest.mark.parametrize(
    ("word", "status", "retry_after"),
    [
        ("keylimited", 429, None),
        ("keylimited-after", 429, "120"),
        ("keycloudflare", 403, None),
        ("keydown", 503, None),
    ],
)
def test_an_exchange_is_refused(
    client: Wire, garmin: Simulator, word: str, status: int, retry_after: str | None
) -> None:
    reply = exchange(client, key_of(word))
    assert (reply.status_code, reply.headers.get("Retry-After")) == (status, retry_after)
    assert garmin.count("key_exchanges") == 0


def test_a_key_is_made_and_revoked_over_http(garmin: Simulator, client: Wire) -> None:
    with requests.Session() as control:
        control.trust_env = False
        body = {"username": ANNA, "days": 30}
        made = control.post(f"{garmin.control_url}/keys", json=body, timeout=20).json()
        assert made["expires_at"] == pytest.approx(garmin.now() + 30 * DAY_S, abs=60)
        assert exchange(client, made["key"]).status_code == 200
        reply = control.post(f"{garmin.control_url}/keys/revoke", json={}, timeout=20)
        assert reply.json() == {"revoked": 1}
    assert exchange(client, made["key"]).status_code == 401
