"""The control endpoint, and the same operations as methods."""

import base64
import json
import re
import time
from typing import Any

import pytest
import requests
from pydantic import ValidationError

from dev.simulator import Simulator
from tests.dev.wire import Wire

PLAIN = "plain-anna@example.com"
EMAIL = "email-x@example.com"


def call(garmin: Simulator, method: str, path: str, **body: Any) -> requests.Response:  # noqa: ANN401
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, garmin.control_url + path, json=body or None, timeout=20)


def test_counters_are_kept_in_total_by_username_and_by_client(
    client: Wire, garmin: Simulator
) -> None:
    client.profile(client.di_tokens(PLAIN)["access_token"])
    counters = call(garmin, "GET", "/counters").json()
    assert counters == garmin.counters()
    counts = counters["by_username"][PLAIN]
    names = ("credential_posts", "tickets_issued", "tickets_redeemed", "di_exchanges", "profiles")
    assert [counts[name] for name in names] == [1, 1, 1, 1, 1]
    assert counters["by_client"]["GCM_ANDROID_DARK"]["sign_in_pages"] == 1
    assert counters["total"]["codes_sent"] == 0


def test_the_last_code_is_told(client: Wire, garmin: Simulator) -> None:
    assert call(garmin, "GET", f"/codes?username={EMAIL}").status_code == 404
    with pytest.raises(LookupError):
        garmin.code(EMAIL)
    garmin.configure(code_alphabet="XY", code_length=9)
    client.sign_in(EMAIL)
    code = call(garmin, "GET", f"/codes?username={EMAIL.title()}").json()
    assert code["code"] == garmin.code(EMAIL)
    assert re.fullmatch("[XY]{9}", code["code"])
    assert (code["method"], code["destination"]) == ("email", "em*****@example.com")


def test_issued_secrets_include_those_used_or_revoked(client: Wire, garmin: Simulator) -> None:
    ticket = client.ticket(PLAIN)
    oauth1 = client.oauth1_token(ticket)
    oauth2 = client.exchange(oauth1).json()
    di = client.di_tokens(PLAIN)
    client.refresh_at_di(di["refresh_token"])
    client.sign_in(EMAIL)
    mfa = client.verify(garmin.code(EMAIL)).json()["serviceTicketId"]
    mfa_oauth1 = client.oauth1_token(mfa)
    garmin.revoke_tokens()

    issued = garmin.issued()
    assert call(garmin, "GET", "/issued").json() == issued
    assert {ticket, mfa} < set(issued["ticket"])
    assert issued["code"] == [garmin.code(EMAIL)]
    assert issued["oauth1_token"] == [oauth1["oauth_token"], mfa_oauth1["oauth_token"]]
    assert oauth1["oauth_token_secret"] in issued["oauth1_secret"]
    assert issued["mfa_token"] == [mfa_oauth1["mfa_token"]]
    for tokens in (oauth2, di):
        assert tokens["access_token"] in issued["access_token"]
        assert tokens["refresh_token"] in issued["refresh_token"]
    cookies = {cookie.name: cookie.value for cookie in client.session.cookies}
    assert {cookies[name] for name in ("SESSION", "__cf_bm", "CASTGC")} < set(issued["cookie"])
    assert cookies["GARMIN-SSO-CUST-GUID"] not in issued["cookie"]


def test_codes_and_sessions_are_expired(client: Wire, garmin: Simulator) -> None:
    client.sign_in(EMAIL)
    code = garmin.code(EMAIL)
    assert call(garmin, "POST", "/codes/expire", username=EMAIL).json() == {"expired": 1}
    assert client.verify(code).json()["responseStatus"]["message"] == "codeEntryExpired"
    assert call(garmin, "POST", "/sessions/expire").json() == {"expired": 1}
    assert client.verify(code).json()["responseStatus"]["message"] == "sessionExpired"


def test_tokens_are_expired_or_revoked(client: Wire, garmin: Simulator) -> None:
    tokens = client.di_tokens(PLAIN)
    assert call(garmin, "POST", "/tokens/expire", username=PLAIN).json() == {"expired": 1}
    assert client.profile(tokens["access_token"]).status_code == 401
    tokens = client.refresh_at_di(tokens["refresh_token"]).json()
    assert client.profile(tokens["access_token"]).status_code == 200
    assert call(garmin, "POST", "/tokens/revoke", username=PLAIN).json() == {"revoked": 2}
    assert client.profile(tokens["access_token"]).status_code == 401
    assert client.refresh_at_di(tokens["refresh_token"]).status_code == 400


def test_the_clock_is_moved(client: Wire, garmin: Simulator) -> None:
    now = call(garmin, "GET", "/clock").json()["now"]
    assert now == pytest.approx(time.time(), abs=60)
    assert call(garmin, "POST", "/clock", seconds=86400).json()["now"] >= now + 86400
    assert call(garmin, "POST", "/clock", seconds=86400).status_code == 200
    assert garmin.now() >= now + 2 * 86400
    payload = client.di_tokens(PLAIN)["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["iat"] >= int(now) + 2 * 86400
    assert garmin.advance_clock(-2 * 86400) < now + 3600
    assert call(garmin, "POST", "/clock", hours=1).status_code == 422


def test_a_reset_restores_the_initial_state(client: Wire, garmin: Simulator) -> None:
    garmin.configure(latency_ms=1)
    ticket = client.ticket(PLAIN)
    assert call(garmin, "POST", "/reset").status_code == 200
    assert garmin.settings()["latency_ms"] == 0
    assert garmin.count("requests") == 0
    assert client.preauthorized(ticket).status_code == 401


def test_settings_are_validated(garmin: Simulator) -> None:
    reply = call(garmin, "POST", "/settings", latency=5)
    assert reply.status_code == 422
    assert "latency" in reply.json()["error"]
    with pytest.raises(ValidationError):
        garmin.configure(latency=5)
    assert call(garmin, "POST", "/settings", latency_ms=5).json()["latency_ms"] == 5
    assert call(garmin, "POST", "/faults", kind="hang").json()["faults"][0]["kind"] == "hang"
    assert call(garmin, "POST", "/faults", kind="unknown").status_code == 422


def test_an_account_is_described(garmin: Simulator) -> None:
    assert call(garmin, "GET", "/health").json() == {"status": "ok"}
    assert call(garmin, "GET", "/accounts").status_code == 404
    account = call(garmin, "GET", f"/accounts?username={PLAIN}").json()
    assert account == garmin.account(PLAIN)
    assert account["password"] == "correct horse battery staple"
    assert account["profile"]["fullName"] == "Plain Anna"
