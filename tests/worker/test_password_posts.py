"""How often one job posts a password, with both libraries against the simulated Garmin."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from dev.simulator import PASSWORD, Simulator
from shared.crypto.tokens import new_token
from shared.errors import (
    AccountLockedError,
    CaptchaRequiredError,
    GarminRateLimitedError,
    InvalidCredentialsError,
    SignInError,
)
from shared.garmin.types import Credentials, SignedIn
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.password_posts import PasswordPosts
from tests.cooldowns import end_account_rests
from tests.worker.ways import ALWAYS
from worker.chain import DriverChain
from worker.drivers.driver import GarminDriver
from worker.drivers.garminconnect import GarminConnectDriver
from worker.drivers.garth import GarthDriver
from worker.drivers.http import GarminAdapter

DRIVERS = ("garth", "garminconnect")
CLIENTS = ("GCM_ANDROID_DARK", "GCM_IOS_DARK", "widget")

SignIn = Callable[[str], SignedIn]


@pytest.fixture(params=[DRIVERS, DRIVERS[::-1]], ids="-".join)
def sign_in(
    request: pytest.FixtureRequest,
    reached_garmin: Simulator,
    adapter: GarminAdapter,
    redis: Redis,
    cooldowns: DriverCooldowns,
) -> SignIn:
    """Sign in by a job of its own, as a worker does, with the drivers in either order."""
    drivers: dict[str, GarminDriver] = {
        "garth": GarthDriver(adapter),
        "garminconnect": GarminConnectDriver(adapter, adapter.timings),
    }
    chain = DriverChain([drivers[name] for name in request.param], cooldowns, PasswordPosts(redis))

    def sign_in(username: str) -> SignedIn:
        password = "another" if username.startswith("plain-wrong") else PASSWORD
        credentials = Credentials(username=SecretStr(username), password=SecretStr(password))
        result = chain.sign_in(credentials, ALWAYS, new_token(), username)
        assert isinstance(result, SignedIn)
        return result

    return sign_in


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("limited", GarminRateLimitedError),
        ("limited-after", GarminRateLimitedError),
        ("limitedbody", GarminRateLimitedError),
        ("http427", GarminRateLimitedError),
        ("mfa427", GarminRateLimitedError),
        ("captcha", CaptchaRequiredError),
        ("locked", AccountLockedError),
        ("wrongpassword", InvalidCredentialsError),
        ("plain-wrong", InvalidCredentialsError),
    ],
)
def test_a_verdict_or_a_refusal_by_garmin_itself_costs_one_post(
    sign_in: SignIn,
    garmin: Simulator,
    cooldowns: DriverCooldowns,
    word: str,
    error: type[SignInError],
) -> None:
    username = f"{word}-fay@example.com"
    with pytest.raises(error) as caught:
        sign_in(username)
    assert type(caught.value) is error
    assert garmin.count("credential_posts", username) == 1
    assert not any(cooldowns.remaining(driver) for driver in DRIVERS)


def test_cloudflares_page_costs_one_post_by_each_way_in(
    sign_in: SignIn, garmin: Simulator, cooldowns: DriverCooldowns
) -> None:
    username = "cloudflare-fay@example.com"
    with pytest.raises(GarminRateLimitedError):
        sign_in(username)
    assert garmin.count("credential_posts", username) == 3
    posts = {client: counts["credential_posts"] for client, counts in by_client(garmin).items()}
    assert posts == dict.fromkeys(posts, 1)
    assert all(cooldowns.remaining(driver) for driver in DRIVERS)


@pytest.mark.parametrize(
    "refused",
    [CLIENTS[:1], CLIENTS[:2], CLIENTS[1:], CLIENTS[2:], CLIENTS],
    ids=lambda clients: "-".join(clients),
)
@pytest.mark.parametrize("status", [403, 427, 429])
@pytest.mark.parametrize("at", ["page", "login"])
def test_a_password_is_never_posted_more_than_three_times(
    sign_in: SignIn, garmin: Simulator, refused: tuple[str, ...], status: int, at: str
) -> None:
    garmin.configure(refuse={key: {"status": status, "at": [at]} for key in refused})
    username = "plain-fay@example.com"
    try:
        sign_in(username)
    except GarminRateLimitedError:
        assert refused == CLIENTS or (at == "login" and status != 403)
    final = at == "login" and status != 403
    assert garmin.count("credential_posts", username) <= (1 if final else len(refused) + 1)
    assert garmin.count("credential_posts", username) <= 3
    posts = [counts["credential_posts"] for counts in by_client(garmin).values()]
    assert max(posts, default=0) <= 1


def test_a_throttled_account_is_left_alone_until_its_rests_are_over(
    sign_in: SignIn, garmin: Simulator, redis: Redis
) -> None:
    """One post for each library, then none for a quarter of an hour, however often asked."""
    username = "limited-fay@example.com"
    for _ in range(10):
        with pytest.raises(GarminRateLimitedError):
            sign_in(username)
    assert garmin.count("credential_posts", username) == 2
    sign_in("plain-gus@example.com")
    for driver in DRIVERS:
        end_account_rests(redis, driver)
    with pytest.raises(GarminRateLimitedError):
        sign_in(username)
    assert garmin.count("credential_posts", username) == 3


def by_client(garmin: Simulator) -> dict[str, dict[str, int]]:
    counters: dict[str, dict[str, int]] = garmin.counters()["by_client"]
    return counters


def test_a_library_that_breaks_before_the_password_makes_way_for_the_other(
    sign_in: SignIn, garmin: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AttributeError("a library of another version")

    username = "plain-fay@example.com"
    with monkeypatch.context() as patch:
        patch.setattr("worker.drivers.garth.sso.login", broken)
        assert sign_in(username).tokens.driver == "garminconnect"
    monkeypatch.setattr("garminconnect.client.Client.login", broken)
    assert sign_in(username).tokens.driver == "garth"
    assert garmin.count("credential_posts", username) == 2
