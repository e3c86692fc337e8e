"""garminconnect, as released, against the simulator."""

import garminconnect
import garminconnect.client
import pytest

from dev.simulator import PASSWORD, Simulator
from tests.dev.libraries import garminconnect_client

PROFILE = "/userprofile-service/socialProfile"
FLOWS = ["mobile+cffi", "widget+cffi", "portal+cffi"]


def full_name(client: garminconnect.client.Client) -> str:
    return str(client.connectapi(PROFILE)["fullName"])


@pytest.mark.parametrize("strategy", FLOWS)
def test_a_password_alone_signs_in(garmin: Simulator, strategy: str) -> None:
    with garminconnect_client(strategy) as client:
        client.login("plain-anna@example.com", PASSWORD)
        assert full_name(client) == "Plain Anna"
        assert client.di_client_id == "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2"
    assert garmin.count("credential_posts", "plain-anna@example.com") == 1
    assert garmin.count("di_exchanges", "plain-anna@example.com") == 1


@pytest.mark.parametrize("strategy", FLOWS)
@pytest.mark.parametrize("kind", ["email", "sms", "app"])
def test_another_instance_finishes_with_the_code(
    garmin: Simulator, strategy: str, kind: str
) -> None:
    username = f"{kind}-bob@example.com"
    with garminconnect_client(strategy) as first, garminconnect_client(strategy) as second:
        outcome, state = first.login(username, PASSWORD, return_on_mfa=True)
        assert outcome == "needs_mfa"
        second.resume_login(state, garmin.code(username))
        assert full_name(second) == f"{kind.title()} Bob"
    assert garmin.count("codes_sent", username) == (0 if kind == "app" else 1)


@pytest.mark.parametrize("strategy", FLOWS)
def test_a_wrong_code_leaves_the_sign_in_open(garmin: Simulator, strategy: str) -> None:
    username = "email-carl@example.com"
    with garminconnect_client(strategy) as client:
        _, state = client.login(username, PASSWORD, return_on_mfa=True)
        with pytest.raises(garminconnect.GarminConnectAuthenticationError):
            client.resume_login(state, "not it")
        client.resume_login(state, garmin.code(username))
        assert full_name(client) == "Email Carl"


def test_the_widget_asks_for_the_code_where_garmin_did_not_send_it(garmin: Simulator) -> None:
    garmin.configure(widget_sends_code=False)
    username = "email-dora@example.com"
    with garminconnect_client("widget+cffi") as client:
        _, state = client.login(username, PASSWORD, return_on_mfa=True)
        assert garmin.count("codes_sent", username) == 1
        client.resume_login(state, garmin.code(username))


@pytest.mark.parametrize("title", ["GARMIN Authentication Application", "Enter MFA code for login"])
def test_the_widget_has_two_titles_for_the_code(garmin: Simulator, title: str) -> None:
    garmin.configure(widget_mfa_title=title)
    with garminconnect_client("widget+cffi") as client:
        outcome, _ = client.login("email-emil@example.com", PASSWORD, return_on_mfa=True)
    assert outcome == "needs_mfa"


def test_a_wrong_password_is_tried_once(garmin: Simulator) -> None:
    with (
        garminconnect_client("mobile+cffi") as client,
        pytest.raises(garminconnect.GarminConnectAuthenticationError),
    ):
        client.login("plain-fay@example.com", "wrong")
    assert garmin.count("credential_posts", "plain-fay@example.com") == 1


def test_what_the_json_flows_refuse_with_427_the_widget_lets_in(garmin: Simulator) -> None:
    username = "mfa427-gus@example.com"
    with garminconnect_client("mobile+cffi") as client, pytest.raises(Exception, match="exhausted"):
        client.login(username, PASSWORD)
    with garminconnect_client("widget+cffi") as client:
        outcome, _ = client.login(username, PASSWORD, return_on_mfa=True)
    assert outcome == "needs_mfa"


def test_a_refused_client_leaves_the_other_alone(garmin: Simulator) -> None:
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
        spent = client.di_refresh_token
        client._refresh_di_token()
        assert client.di_refresh_token != spent
        assert full_name(client) == "Plain Ida"
        client.di_refresh_token = spent
        with pytest.raises(garminconnect.GarminConnectAuthenticationError, match="400"):
            client._refresh_di_token()
    assert garmin.count("di_refreshes") == 1


def test_a_refused_di_exchange_falls_back_to_a_cookie(garmin: Simulator) -> None:
    with garminconnect_client("mobile+cffi") as client:
        client.login("direfused-jan@example.com", PASSWORD)
        assert client.di_token is None
        assert client.jwt_web
        assert full_name(client) == "Direfused Jan"


def test_a_token_can_be_inactive(garmin: Simulator) -> None:
    with garminconnect_client("mobile+cffi") as client, pytest.raises(Exception, match="rejected"):
        client.login("inactive-kim@example.com", PASSWORD)
    assert garmin.count("di_exchanges") == 1
    assert garmin.count("profiles") == 0
