"""How many codes somebody who knows the password can try, and have Garmin send, in a day.

Time is moved in Redis: what the limits have counted was counted that much earlier.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import cast

import httpx
import pytest
from redis import Redis

from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack
from shared.rates import rates
from shared.settings import Settings
from tests.end_to_end.client import Client, Json

LOGIN, CODE = "/api/garmin/login", "/api/garmin/login/mfa-complete"
USERNAME = "email-anna@example.com"
DAY, QUARTER, STEP = 24 * 3600, 900, 450
TRIES_A_STEP = 2


def default(setting: str) -> str:
    return str(Settings.model_fields[setting].default)


def per_day(setting: str) -> int:
    return allowed(setting, DAY)


def per_quarter(setting: str) -> int:
    return allowed(setting, QUARTER)


def allowed(setting: str, seconds: int) -> int:
    limits = rates(default(setting))
    return sum(limit.events for limit in limits if limit.seconds == seconds)


def guesses_per_day() -> int:
    """With the defaults, while no sign-in of the account succeeds."""
    return min(per_day("limit_login_per_account"), guesses_per_day_at_most())


def guesses_per_day_at_most() -> int:
    """However often its owner's successful sign-ins reset the limit on failures."""
    return per_day("limit_codes_per_account") * int(default("mfa_attempts"))


@pytest.fixture
def own_settings(own_settings: dict[str, str]) -> dict[str, str]:
    """The limits as they are where nobody sets them."""
    kept = {k: v for k, v in own_settings.items() if not k.startswith("FITTRACK_LIMIT_")}
    return kept | {"FORWARDED_ALLOW_IPS": "127.0.0.1"}


@pytest.fixture
def redis(own_stack: Stack) -> Iterator[Redis]:
    with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
        yield redis


@pytest.fixture(params=["one address", "many addresses"])
def attacker(
    request: pytest.FixtureRequest, own_stack: Stack, own_client: Client, redis: Redis
) -> "Attacker":
    own_stack.start()
    return Attacker(own_client, redis, moves=request.param == "many addresses")


class Attacker:
    """Knows the password and no code. `refusals` counts what got no further than the API."""

    def __init__(self, client: Client, redis: Redis, *, moves: bool) -> None:
        self._client = client
        self._redis = redis
        self._moves = moves
        self._numbers = count(1)
        self.guesses = 0
        self.refusals = 0

    def wait(self, seconds: int) -> None:
        for key in self._redis.scan_iter("fittrack:limit:*"):
            for event in cast("list[bytes]", self._redis.zrange(key, 0, -1)):
                self._redis.zincrby(key, -seconds, event)

    def request_code(self, username: str = USERNAME) -> Json | None:
        """Return the ended sign-in; None if it was refused."""
        return self._post(LOGIN, username=username, password=PASSWORD)

    def guess(self, challenge_id: str) -> Json | None:
        self.guesses += 1
        return self._post(CODE, challenge_id=challenge_id, mfa_code="not it")

    def attack(self) -> None:
        """Sign in and guess until the challenge is used up."""
        asked = self.request_code()
        challenge_id = None if asked is None else asked.get("mfa_challenge_id")
        if challenge_id is None:
            self.guesses += 1  # it would have been one
        while challenge_id is not None:
            guessed = self.guess(challenge_id)
            challenge_id = None if guessed is None else guessed.get("mfa_challenge_id")

    def _post(self, path: str, **body: str) -> Json | None:
        reply = self._send(path, body)
        if reply.status_code != 202:
            assert reply.status_code in (404, 429), reply.text
            self.refusals += 1
            return None
        return self._client.wait(reply.json())

    def _send(self, path: str, body: dict[str, str]) -> httpx.Response:
        number = next(self._numbers) if self._moves else 0
        address = f"198.51.{100 + number // 250}.{number % 250}"
        return self._client.http.post(path, json=body, headers={"X-Forwarded-For": address})


def test_three_hundred_guesses_a_day_meet_the_limit(attacker: Attacker, garmin: Simulator) -> None:
    for _ in range(DAY // STEP):
        for _ in range(TRIES_A_STEP):
            attacker.attack()
        attacker.wait(STEP)
    assert attacker.guesses > 300
    assert attacker.refusals > 300
    checked = garmin.count("codes_checked")
    assert checked == guesses_per_day()
    assert checked <= garmin.count("codes_sent") * int(default("mfa_attempts"))
    assert garmin.count("codes_sent") <= per_day("limit_codes_per_account")


def test_wrong_codes_that_garmin_answers_with_429_meet_the_same_limit(
    own_client: Client, own_stack: Stack, redis: Redis, garmin: Simulator
) -> None:
    garmin.configure(wrong_code={"status": 429, "type": "", "message": ""})
    own_stack.start()
    attacker = Attacker(own_client, redis, moves=True)
    asked = attacker.request_code()
    assert asked is not None
    for _ in range(per_quarter("limit_login_per_account") + 3):
        attacker.guess(asked["mfa_challenge_id"])
    assert attacker.refusals == 3
    assert garmin.count("codes_checked") == per_quarter("limit_login_per_account")


def test_garmin_sends_as_many_codes_as_allowed_whoever_asks(
    attacker: Attacker, garmin: Simulator
) -> None:
    for _ in range(20):
        attacker.request_code()
    assert garmin.count("codes_sent") == 3
    for _ in range(DAY // STEP - 1):
        attacker.wait(STEP)
        attacker.request_code()
    assert garmin.count("codes_sent") == per_day("limit_codes_per_account")
    assert garmin.count("credential_posts") == per_day("limit_codes_per_account")


def test_accounts_without_codes_are_not_limited_by_them(attacker: Attacker) -> None:
    for _ in range(15):
        signed_in = attacker.request_code("plain-anna@example.com")
        assert signed_in is not None
        assert signed_in["status"] == "succeeded"


def test_the_newest_code_can_not_be_entered_into_an_older_challenge(
    client: Client, garmin: Simulator
) -> None:
    older, newer = (client.login(USERNAME) for _ in range(2))
    code = garmin.code(USERNAME)
    body = {"challenge_id": older["mfa_challenge_id"], "mfa_code": code}
    refused = client.http.post(CODE, json=body)
    assert (refused.status_code, refused.json()["code"]) == (404, "challenge_not_found")
    assert client.send_code(newer, code)["status"] == "succeeded"
    assert garmin.count("codes_checked") == 1


def test_the_documentation_states_the_guesses_that_remain() -> None:
    page = " ".join(Path("docs/security.md").read_text(encoding="utf-8").split())
    assert f"{guesses_per_day()} guesses a day" in page
    assert f"{guesses_per_day_at_most()} however often" in page
