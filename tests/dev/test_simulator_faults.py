"""Faults and refusals that the settings ask for."""

import time

import pytest
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    JSONDecodeError,
    ProxyError,
    ReadTimeout,
    RequestException,
)

from dev.simulator import Simulator
from tests.dev.wire import Wire, wait_until

LOGIN = "/mobile/api/login"
CODE = "/mobile/api/mfa/verifyCode"
DI = "/di-oauth2-service/oauth/token"
PLAIN = "plain-anna@example.com"
SHORT = 0.3


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("hang", ReadTimeout),
        ("hang_body", ConnectionError),
        ("drip", ConnectionError),
        ("cut", ProxyError),
        ("cut_body", ChunkedEncodingError),
    ],
)
def test_a_fault_keeps_the_response_from_the_client(
    client: Wire, garmin: Simulator, kind: str, error: type[Exception]
) -> None:
    garmin.configure(drip_interval_ms=60_000, faults=[{"kind": kind, "path": LOGIN}])
    client.page()
    client.timeout = SHORT
    with pytest.raises(RequestException) as caught:
        client.post_credentials(PLAIN)
    assert type(caught.value) is error
    assert ("timed out" in str(caught.value).lower()) is not kind.startswith("cut")
    # With half a body on the way, Garmin has handled the request.
    handled = kind in ("hang_body", "drip", "cut_body")
    assert garmin.count("credential_posts") == int(handled)


@pytest.mark.parametrize("kind", ["hang_connect", "cut_connect"])
def test_a_fault_fails_the_connection(client: Wire, garmin: Simulator, kind: str) -> None:
    garmin.configure(faults=[{"kind": kind, "host": "sso.*"}])
    client.timeout = SHORT
    with pytest.raises(RequestException) as caught:
        client.page()
    assert ("timed out" in str(caught.value).lower()) is (kind == "hang_connect")
    wait_until(lambda: garmin.count("faults") == 1)
    assert garmin.count("requests") == 0


def test_a_slow_response_arrives_in_full(client: Wire, garmin: Simulator) -> None:
    garmin.configure(drip_interval_ms=0, faults=[{"kind": "drip", "path": LOGIN}])
    assert client.sign_in(PLAIN).json()["responseStatus"]["type"] == "SUCCESSFUL"
    assert client.page().status_code == 200


def test_a_fault_replaces_the_response(client: Wire, garmin: Simulator) -> None:
    client.page()
    fault = {"kind": "status", "path": LOGIN, "status": 502, "retry_after": 7}
    garmin.configure(faults=[fault])
    reply = client.post_credentials(PLAIN)
    assert (reply.status_code, reply.headers["Retry-After"]) == (502, "7")
    garmin.configure(faults=[{"kind": "html", "path": LOGIN}])
    page = client.post_credentials(PLAIN)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html;charset=UTF-8")
    garmin.configure(faults=[{"kind": "garbage", "path": LOGIN}])
    garbage = client.post_credentials(PLAIN)
    assert garbage.headers["Content-Type"] == "application/json"
    with pytest.raises(JSONDecodeError):
        garbage.json()
    assert garmin.count("credential_posts") == 0


def test_a_fault_removes_a_field_of_json_or_form_text(client: Wire, garmin: Simulator) -> None:
    ticket = client.ticket(PLAIN)
    removed = [
        {"kind": "without_field", "path": LOGIN, "field": "serviceTicketId"},
        {"kind": "without_field", "path": "*/preauthorized", "field": "oauth_token_secret"},
    ]
    garmin.configure(faults=removed)
    assert "serviceTicketId" not in client.sign_in(PLAIN).json()
    assert set(client.oauth1_token(ticket)) == {"oauth_token"}


def test_a_fault_skips_requests_and_ends_whatever_else_changes(
    client: Wire, garmin: Simulator
) -> None:
    garmin.configure(faults=[{"kind": "status", "path": LOGIN, "skip": 1, "times": 2}])
    assert [client.sign_in(PLAIN).status_code for _ in range(3)] == [200, 503, 503]
    garmin.configure(latency_ms=1)
    garmin.add_fault(kind="status", path=CODE)
    assert [client.sign_in(PLAIN).status_code for _ in range(2)] == [200, 200]
    assert len(garmin.settings()["faults"]) == 2


def test_a_response_is_lost_after_garmin_handled_the_request(
    client: Wire, garmin: Simulator
) -> None:
    refresh_token = client.di_tokens(PLAIN)["refresh_token"]
    garmin.configure(faults=[{"kind": "cut", "path": DI, "when": "after", "times": 1}])
    with pytest.raises(ConnectionError):
        client.refresh_at_di(refresh_token)
    assert garmin.count("di_refreshes") == 1
    assert client.refresh_at_di(refresh_token).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("key", ["GCM_ANDROID_DARK", "mobile"])
def test_a_client_or_a_flow_is_refused(client: Wire, garmin: Simulator, key: str) -> None:
    garmin.configure(refuse={key: {"status": 429, "retry_after": 60, "times": 1}})
    reply = client.sign_in(PLAIN)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "60")
    counts = garmin.counters()["by_username"][PLAIN]
    assert (counts["credential_posts"], counts["credentials_checked"]) == (1, 0)
    assert counts["refused"] == 1
    assert client.sign_in(PLAIN).status_code == 200


def test_a_refusal_has_the_form_and_the_stage_of_its_settings(
    client: Wire, garmin: Simulator
) -> None:
    garmin.configure(refuse={"mobile": {"status": 403}})
    assert "Just a moment" in client.sign_in(PLAIN).text
    garmin.configure(refuse={"mobile": {"status": 427, "in_body": True}})
    reply = client.sign_in(PLAIN)
    assert (reply.status_code, reply.json()["error"]["status-code"]) == (200, "427")
    garmin.configure(refuse={"mobile": {"at": ["page"]}})
    assert client.page().status_code == 429
    garmin.configure(refuse={"di": {"at": ["refresh"]}})
    refresh_token = client.di_tokens(PLAIN)["refresh_token"]
    assert client.refresh_at_di(refresh_token).status_code == 429


def test_latency_delays_each_response(client: Wire, garmin: Simulator) -> None:
    garmin.configure(latency_ms=100, latency_by_path={LOGIN: 200})
    started = time.monotonic()
    client.sign_in(PLAIN)
    assert time.monotonic() - started >= 0.3
