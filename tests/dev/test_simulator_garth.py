"""garth, as released, against the simulator."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dev.simulator import PASSWORD, Simulator
from tests.dev.libraries import garth, garth_client

SignedIn = tuple[Any, Any]
PROFILE = "/userprofile-service/socialProfile"


def sign_in(client: garth.http.Client, username: str, password: str = PASSWORD) -> SignedIn:
    return garth.sso.login(username, password, client=client, return_on_mfa=True)


def profile(client: garth.http.Client) -> dict[str, Any]:
    # Fresh headers, because garth's default ones would carry another client's token.
    value = client.connectapi(PROFILE, headers={})
    assert isinstance(value, dict)
    return value


def full_name(client: garth.http.Client) -> str:
    return str(profile(client)["fullName"])


def test_a_password_alone_signs_in(garmin: Simulator) -> None:
    with garth_client() as client:
        oauth1, client.oauth2_token = sign_in(client, "plain-anna@example.com")
        client.oauth1_token = oauth1
        assert oauth1.mfa_token is None
        assert full_name(client) == "Plain Anna"
    counters = garmin.counters()
    assert counters["by_username"]["plain-anna@example.com"]["credential_posts"] == 1
    assert counters["by_client"]["GCM_ANDROID_DARK"]["oauth2_exchanges"] == 1


@pytest.mark.parametrize("kind", ["email", "sms", "app"])
def test_a_code_finishes_the_sign_in(garmin: Simulator, kind: str) -> None:
    username = f"{kind}-bob@example.com"
    with garth_client() as client:
        outcome, state = sign_in(client, username)
        assert outcome == "needs_mfa"
        oauth1, client.oauth2_token = garth.sso.resume_login(state, garmin.code(username))
        client.oauth1_token = oauth1
        assert str(oauth1.mfa_token).startswith("MFA-")
        assert full_name(client) == f"{kind.title()} Bob"
    assert garmin.count("codes_sent", username) == (0 if kind == "app" else 1)
    assert garmin.count("codes_accepted", username) == 1


def test_a_wrong_code_leaves_the_sign_in_open(garmin: Simulator) -> None:
    username = "email-carl@example.com"
    with garth_client() as client:
        _, state = sign_in(client, username)
        with pytest.raises(garth.exc.GarthException, match="codeEntryInvalid"):
            garth.sso.resume_login(state, "not it")
        garth.sso.resume_login(state, garmin.code(username))
    assert garmin.count("codes_checked", username) == 2


def test_a_wrong_password_is_tried_once(garmin: Simulator) -> None:
    with garth_client() as client:
        with pytest.raises(garth.exc.GarthHTTPError) as caught:
            sign_in(client, "plain-dora@example.com", "wrong")
        reply = caught.value.error.response
    assert reply.status_code == 401
    assert reply.json()["responseStatus"]["type"] == "INVALID_USERNAME_PASSWORD"
    assert garmin.count("credential_posts", "plain-dora@example.com") == 1


def test_a_refused_client_gets_its_429(garmin: Simulator) -> None:
    garmin.configure(refuse={"GCM_ANDROID_DARK": {"status": 429, "retry_after": 60}})
    with garth_client() as client:
        with pytest.raises(garth.exc.GarthHTTPError) as caught:
            sign_in(client, "plain-emil@example.com")
        reply = caught.value.error.response
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "60")
    assert garmin.count("credential_posts") == 1
    assert garmin.count("credentials_checked") == 0


def test_a_refused_ticket_is_a_401(garmin: Simulator) -> None:
    with garth_client() as client, pytest.raises(Exception, match="401"):
        sign_in(client, "ticket401-fay@example.com")
    assert garmin.count("tickets_redeemed") == 0


@pytest.mark.parametrize("kind", ["plain", "email"])
def test_an_expired_access_token_is_refreshed_with_the_oauth1_token(
    garmin: Simulator, kind: str
) -> None:
    username = f"{kind}-gus@example.com"
    with garth_client() as client:
        oauth1, tokens = sign_in(client, username)
        if kind == "email":
            oauth1, tokens = garth.sso.resume_login(tokens, garmin.code(username))
        client.oauth1_token, client.oauth2_token = oauth1, tokens
        garmin.expire_tokens(username)
        with pytest.raises(garth.exc.GarthHTTPError, match="401"):
            full_name(client)
        client.oauth2_token = garth.sso.exchange(oauth1, client)
        assert full_name(client) == f"{kind.title()} Gus"


def test_the_chinese_garmin_has_its_own_people(garmin: Simulator) -> None:
    with garth_client("garmin.cn") as client:
        client.oauth1_token, client.oauth2_token = sign_in(client, "plain-anna@example.com")
        guid = profile(client)["garminGUID"]
    elsewhere = garmin.account("plain-anna@example.com")["profile"]
    here = garmin.account("plain-anna@example.com", "garmin.cn")["profile"]
    assert guid == here["garminGUID"] != elsewhere["garminGUID"]


def test_people_who_sign_in_at_once_do_not_mix(garmin: Simulator) -> None:
    def who(number: int) -> str:
        username = f"email-{number}@example.com"
        with garth_client() as client:
            _, state = sign_in(client, username)
            tokens = garth.sso.resume_login(state, garmin.code(username))
            client.oauth1_token, client.oauth2_token = tokens
            return str(profile(client)["userName"])

    with ThreadPoolExecutor(12) as pool:
        names = list(pool.map(who, range(24)))
    assert names == [f"email-{number}@example.com" for number in range(24)]
