"""The main job, over real Redis and PostgreSQL, with the real libraries."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack
from tests.end_to_end.client import Client, Json
from tests.end_to_end.dumps import dump_database, dump_redis
from tests.programs import FULL

PAIRS = 200 if FULL else 50
"""How many people with a code, and as many without, sign in at once."""


def user_of(garmin: Simulator, signed_in: Json, username: str) -> None:
    """The session is this person's and nobody else's."""
    assert signed_in["status"] == "succeeded", signed_in
    profile = garmin.account(username)["profile"]
    assert signed_in["user"]["display_name"] == profile["fullName"]


def test_a_sign_in_without_a_code_stores_tokens_and_opens_a_session(
    client: Client, garmin: Simulator
) -> None:
    signed_in = client.login("plain-anna@example.com")

    user_of(garmin, signed_in, "plain-anna@example.com")
    session = client.session(signed_in)
    assert session["user"] == signed_in["user"]
    assert session["garmin"]["linked"] is True
    assert session["garmin"]["driver"] == "garth"
    assert session["garmin"]["domain"] == "garmin.com"
    assert garmin.count("credential_posts") == 1


@pytest.mark.parametrize(
    ("username", "mfa_type"),
    [
        ("email-bob@example.com", "email"),
        ("sms-bob@example.com", "sms"),
        ("app-bob@example.com", "app"),
    ],
)
def test_a_sign_in_with_a_code_needs_one_code_and_one_password(
    client: Client, garmin: Simulator, username: str, mfa_type: str
) -> None:
    asked = client.login(username)
    assert asked["mfa_type"] == mfa_type
    assert asked["attempts_left"] == 3
    assert 0 < asked["expires_in"] <= 600
    assert (asked["mfa_destination"] is None) == (mfa_type == "app")

    signed_in = client.send_code(asked, garmin.code(username))

    user_of(garmin, signed_in, username)
    assert garmin.count("credential_posts") == 1
    assert garmin.count("codes_checked") == 1


def test_a_wrong_code_then_the_right_one_succeeds(client: Client, garmin: Simulator) -> None:
    asked = client.login("email-cleo@example.com")
    right = garmin.code("email-cleo@example.com")
    wrong = "000000" if right != "000000" else "111111"

    refused = client.send_code(asked, wrong)
    assert refused["error"]["code"] == "mfa_code_invalid"
    assert refused["attempts_left"] == 2
    assert refused["mfa_challenge_id"] == asked["mfa_challenge_id"]

    user_of(garmin, client.send_code(refused, right), "email-cleo@example.com")
    assert garmin.count("codes_checked") == 2


def test_too_many_wrong_codes_end_the_challenge(client: Client, garmin: Simulator) -> None:
    asked = client.login("email-dan@example.com")
    right = garmin.code("email-dan@example.com")
    wrong = "000000" if right != "000000" else "111111"

    answers = [client.send_code(asked, wrong) for _ in range(3)]

    assert [a["error"]["code"] for a in answers] == [
        "mfa_code_invalid",
        "mfa_code_invalid",
        "mfa_attempts_exhausted",
    ]
    body = {"challenge_id": asked["mfa_challenge_id"], "mfa_code": right}
    gone = client.http.post("/api/garmin/login/mfa-complete", json=body)
    assert gone.status_code == 404
    assert gone.json()["code"] == "challenge_not_found"


def test_something_to_finish_at_garmin_ends_the_challenge(
    client: Client, garmin: Simulator
) -> None:
    asked = client.login("codeconsent-dan@example.com")
    failed = client.send_code(asked, garmin.code("codeconsent-dan@example.com"))

    assert failed["error"]["code"] == "garmin_action_required"
    assert "https://connect.garmin.com" in failed["error"]["message"]
    assert failed.get("mfa_challenge_id") is None
    body = {"challenge_id": asked["mfa_challenge_id"], "mfa_code": "123456"}
    gone = client.http.post("/api/garmin/login/mfa-complete", json=body)
    assert gone.status_code == 404


def test_the_last_code_may_be_entered_when_garmin_sends_no_new_one(
    client: Client, garmin: Simulator
) -> None:
    asked = client.login("codelimit-dan@example.com")
    right = garmin.code("codelimit-dan@example.com")

    for _ in range(4):  # more than there are attempts
        failed = client.send_code(asked, "000000" if right != "000000" else "111111")
        assert failed["error"]["code"] == "garmin_rate_limited"
        assert failed["error"]["retry_after"] == 24 * 3600
        assert "the last one" in failed["error"]["message"]
        assert failed["attempts_left"] == asked["attempts_left"]

    user_of(garmin, client.send_code(failed, right), "codelimit-dan@example.com")


def test_a_wrong_password_is_tried_once(client: Client, garmin: Simulator) -> None:
    refused = client.login("plain-eve@example.com", "not the password")

    assert refused["error"]["code"] == "invalid_credentials"
    assert garmin.count("credential_posts") == 1


@pytest.mark.parametrize(
    ("username", "code"),
    [
        ("locked-finn@example.com", "account_locked"),
        ("captcha-finn@example.com", "captcha_required"),
        ("captchaxml-finn@example.com", "captcha_required"),
        ("mfasetup-finn@example.com", "garmin_action_required"),
        ("consent-finn@example.com", "garmin_action_required"),
        ("nocodes-finn@example.com", "garmin_rate_limited"),
        ("down-finn@example.com", "garmin_unavailable"),
        ("garbage-finn@example.com", "garmin_unavailable"),
        ("cut-after-finn@example.com", "garmin_unavailable"),
    ],
)
def test_a_failure_at_garmin_is_reported_and_not_retried(
    client: Client, garmin: Simulator, username: str, code: str
) -> None:
    failed = client.login(username)

    assert failed["status"] == "failed"
    assert failed["error"]["code"] == code
    assert garmin.count("credential_posts") <= 1


def test_where_garth_is_refused_garminconnect_signs_in_and_garth_cools_down(
    client: Client, garmin: Simulator
) -> None:
    garmin.configure(refuse={"GCM_ANDROID_DARK": {"status": 403, "retry_after": 600}})

    first = client.login("plain-gus@example.com")
    user_of(garmin, first, "plain-gus@example.com")
    assert client.session(first)["garmin"]["driver"] == "garminconnect"
    asked_garth = garmin.counters()["by_client"]["GCM_ANDROID_DARK"]

    second = client.login_with_code(garmin, "email-gus@example.com")
    user_of(garmin, second, "email-gus@example.com")
    assert garmin.counters()["by_client"]["GCM_ANDROID_DARK"] == asked_garth


def test_while_every_driver_cools_down_a_submission_is_refused_at_once(
    client: Client, garmin: Simulator, stack: Stack
) -> None:
    refused = {"status": 403, "retry_after": 600}
    garmin.configure(refuse=dict.fromkeys(("GCM_ANDROID_DARK", "GCM_IOS_DARK", "widget"), refused))
    first = client.login("plain-hal@example.com")
    assert first["error"]["code"] == "garmin_rate_limited"
    assert 0 < first["error"]["retry_after"] <= 3600
    posts = garmin.count("credential_posts")

    body = {"username": "plain-ida@example.com", "password": PASSWORD}
    second = client.http.post("/api/garmin/login", json=body)

    assert second.status_code == 503
    assert second.json()["code"] == "service_unavailable"
    assert second.json()["unavailable"] == ["garmin"]
    assert 0 < int(second.headers["Retry-After"]) <= 3600
    assert garmin.count("credential_posts") == posts
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        assert not list(redis.scan_iter("fittrack:job:*:input"))  # no password is kept


def test_a_second_sign_in_replaces_the_tokens_and_keeps_the_session(
    client: Client, stack: Stack
) -> None:
    first = client.login("plain-jo@example.com")
    second = client.login("plain-jo@example.com")

    assert first["user"] == second["user"]
    assert first["access_token"] != second["access_token"]
    assert client.session(first)["session_id"] == first["session_id"]
    assert client.session(second)["session_id"] == second["session_id"]
    engine = create_engine(stack.settings["FITTRACK_DATABASE_URL"])
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT count(*) FROM garmin_tokens")).scalar_one()
    engine.dispose()
    assert rows == 1


def test_a_profile_request_that_fails_is_retried(client: Client, garmin: Simulator) -> None:
    signed_in = client.login("profile500-kim@example.com")

    assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("credential_posts") == 1


def test_accounts_of_both_domains_are_kept_apart(client: Client) -> None:
    com = client.login("plain-lea@example.com")
    cn = client.login("plain-lea@example.com", domain="garmin.cn")

    assert com["user"]["id"] != cn["user"]["id"]
    assert client.session(cn)["garmin"]["domain"] == "garmin.cn"


def test_users_who_sign_in_at_once_get_their_own_accounts(
    client: Client, garmin: Simulator
) -> None:
    names = [f"{kind}-crowd-{i}@example.com" for i in range(PAIRS) for kind in ("plain", "email")]

    def whole(username: str) -> Json:
        outcome = client.login(username)
        if outcome["status"] == "mfa_required":
            outcome = client.send_code(outcome, garmin.code(username))
        return outcome

    with ThreadPoolExecutor(32) as pool:
        outcomes = dict(zip(names, pool.map(whole, names), strict=True))

    for username, outcome in outcomes.items():
        user_of(garmin, outcome, username)
        assert client.session(outcome)["user"] == outcome["user"]
    assert len({outcome["user"]["id"] for outcome in outcomes.values()}) == 2 * PAIRS
    assert garmin.count("credential_posts") == 2 * PAIRS
    assert garmin.count("codes_sent") == garmin.count("codes_checked") == PAIRS


def test_redis_and_the_database_hold_no_secret_in_plain_text(
    client: Client, garmin: Simulator, stack: Stack
) -> None:
    username = "email-mia@example.com"
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        asked = client.login(username)
        code = garmin.code(username)
        waiting = dump_redis(redis)
        refused = client.send_code(asked, "000000" if code != "000000" else "111111")
        signed_in = client.send_code(refused, code)
        wrong = client.login("plain-mia@example.com", "a wrong secret password")
        dump = waiting + dump_redis(redis)
    assert wrong["status"] == "failed"
    dump += dump_database(stack.settings["FITTRACK_DATABASE_URL"])
    dump += b"".join(path.read_bytes() for path in stack.folder.glob("*.log"))

    secrets = [
        PASSWORD,
        "a wrong secret password",
        username,
        code,
        asked["mfa_challenge_id"],
        signed_in["access_token"],
        "ST-",
        "SESSION",
        "oauth_token",
        "access_token",
    ]
    assert signed_in["session_id"].encode() in dump  # what is looked into is what was stored
    for secret in secrets:
        assert secret.encode() not in dump, secret
