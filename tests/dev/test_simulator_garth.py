"""The released garth against the simulator."""

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
    # garth's default headers are shared and may carry another client's token.
    value = client.connectapi(PROFILE, headers={})
    assert isinstance(value, dict)
    return value


def test_a_password_signs_in(garmin: Simulator) -> None:
    with garth_client() as client:
        client.oauth1_token, client.oauth2_token = sign_in(client, "plain-anna@example.com")
        assert profile(client)["fullName"] == "Plain Anna"
    counters = garmin.counters()
    assert counters["by_username"]["plain-anna@example.com"]["credential_posts"] == 1
    assert counters["by_client"]["GCM_ANDROID_DARK"]["oauth2_exchanges"] == 1


@pytest.mark.parametrize("method", ["email", "sms", "app"])
def test_a_code_signs_in(garmin: Simulator, method: str) -> None:
    username = f"{method}-bob@example.com"
    with garth_client() as client:
        outcome, state = sign_in(client, username)
        assert outcome == "needs_mfa"
        with pytest.raises(garth.exc.GarthException, match="codeEntryInvalid"):
            garth.sso.resume_login(state, "wrong")
        oauth1, client.oauth2_token = garth.sso.resume_login(state, garmin.code(username))
        client.oauth1_token = oauth1
        assert str(oauth1.mfa_token).startswith("MFA-")
        assert profile(client)["fullName"] == f"{method.title()} Bob"
    assert garmin.count("codes_sent", username) == (0 if method == "app" else 1)
    assert garmin.count("codes_checked", username) == 2
    assert garmin.count("codes_accepted", username) == 1


def test_a_wrong_password_is_a_401(garmin: Simulator) -> None:
    with garth_client() as client:
        with pytest.raises(garth.exc.GarthHTTPError) as caught:
            sign_in(client, "plain-dora@example.com", "wrong")
        reply = caught.value.error.response
    assert reply.status_code == 401
    assert reply.json()["responseStatus"]["type"] == "INVALID_USERNAME_PASSWORD"
    assert garmin.count("credential_posts", "plain-dora@example.com") == 1


def test_the_oauth1_token_refreshes_an_expired_access_token(garmin: Simulator) -> None:
    username = "email-gus@example.com"
    with garth_client() as client:
        _, state = sign_in(client, username)
        oauth1, client.oauth2_token = garth.sso.resume_login(state, garmin.code(username))
        client.oauth1_token = oauth1
        garmin.expire_tokens(username)
        with pytest.raises(garth.exc.GarthHTTPError, match="401"):
            profile(client)
        client.oauth2_token = garth.sso.exchange(oauth1, client)
        assert profile(client)["fullName"] == "Email Gus"


def test_garmin_cn_has_accounts_of_its_own(garmin: Simulator) -> None:
    with garth_client("garmin.cn") as client:
        client.oauth1_token, client.oauth2_token = sign_in(client, "plain-anna@example.com")
        guid = profile(client)["garminGUID"]
    chinese = garmin.account("plain-anna@example.com", "garmin.cn")["profile"]["garminGUID"]
    assert guid == chinese != garmin.account("plain-anna@example.com")["profile"]["garminGUID"]


def test_concurrent_sign_ins_stay_apart(garmin: Simulator) -> None:
    usernames = [f"email-{number}@example.com" for number in range(16)]

    def sign_in_with_code(username: str) -> str:
        with garth_client() as client:
            _, state = sign_in(client, username)
            tokens = garth.sso.resume_login(state, garmin.code(username))
            client.oauth1_token, client.oauth2_token = tokens
            return str(profile(client)["userName"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sign_in_with_code, usernames)) == usernames
