"""The released garminconnect against the simulator."""

import garminconnect
import garminconnect.client
import pytest

from dev.simulator import PASSWORD, Simulator
from tests.dev.libraries import garminconnect_client

PROFILE = "/userprofile-service/socialProfile"
STRATEGIES = ["mobile+cffi", "widget+cffi", "portal+cffi"]


def full_name(client: garminconnect.client.Client) -> str:
    return str(client.connectapi(PROFILE)["fullName"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_password_signs_in(garmin: Simulator, strategy: str) -> None:
    with garminconnect_client(strategy) as client:
        client.login("plain-anna@example.com", PASSWORD)
        assert full_name(client) == "Plain Anna"
        assert client.di_client_id == "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2"
    assert garmin.count("credential_posts", "plain-anna@example.com") == 1
    assert garmin.count("di_exchanges", "plain-anna@example.com") == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("method", ["email", "app"])
def test_another_client_signs_in_with_the_code_after_a_wrong_one(
    garmin: Simulator, strategy: str, method: str
) -> None:
    username = f"{method}-bob@example.com"
    with garminconnect_client(strategy) as first, garminconnect_client(strategy) as second:
        outcome, state = first.login(username, PASSWORD, return_on_mfa=True)
        assert outcome == "needs_mfa"
        with pytest.raises(garminconnect.GarminConnectAuthenticationError):
            first.resume_login(state, "wrong")
        second.resume_login(state, garmin.code(username))
        assert full_name(second) == f"{method.title()} Bob"
    assert garmin.count("codes_sent", username) == (0 if method == "app" else 1)


def test_a_wrong_password_is_posted_once(garmin: Simulator) -> None:
    with (
        garminconnect_client("mobile+cffi") as client,
        pytest.raises(garminconnect.GarminConnectAuthenticationError),
    ):
        client.login("plain-fay@example.com", "wrong")
    assert garmin.count("credential_posts", "plain-fay@example.com") == 1


def test_the_widget_works_while_the_mobile_client_is_refused(garmin: Simulator) -> None:
    garmin.configure(refuse={"GCM_IOS_DARK": {"status": 429}})
    username = "plain-hana@example.com"
    with (
        garminconnect_client("mobile+cffi") as client,
        pytest.raises(garminconnect.GarminConnectTooManyRequestsError),
    ):
        client.login(username, PASSWORD)
    with garminconnect_client("widget+cffi") as client:
        client.login(username, PASSWORD)
    assert garmin.count("credentials_checked", username) == 1


def test_a_refresh_token_works_once(garmin: Simulator) -> None:
    with garminconnect_client("mobile+cffi") as client:
        client.login("plain-ida@example.com", PASSWORD)
        used = client.di_refresh_token
        client._refresh_di_token()
        assert client.di_refresh_token != used
        assert full_name(client) == "Plain Ida"
        client.di_refresh_token = used
        with pytest.raises(garminconnect.GarminConnectAuthenticationError, match="400"):
            client._refresh_di_token()
    assert garmin.count("di_refreshes") == 1


def test_a_refused_di_exchange_leaves_a_cookie(garmin: Simulator) -> None:
    with garminconnect_client("mobile+cffi") as client:
        client.login("direfused-jan@example.com", PASSWORD)
        assert client.di_token is None
        assert client.jwt_web
        assert full_name(client) == "Direfused Jan"


def test_an_inactive_token_is_rejected_by_the_profile(garmin: Simulator) -> None:
    with garminconnect_client("mobile+cffi") as client, pytest.raises(Exception, match="rejected"):
        client.login("inactive-kim@example.com", PASSWORD)
    assert garmin.count("di_exchanges") == 1
    assert garmin.count("profiles") == 0
