"""The control endpoint, and the settings it changes."""

import re
import time
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from pydantic import ValidationError

from dev.simulator import Simulator
from tests.dev.wire import Wire, wait_until

SHORT = 0.5
LOGIN = "/mobile/api/login"
CODE = "/mobile/api/mfa/verifyCode"
DI = "/di-oauth2-service/oauth/token"
NAME = "plain-anna@example.com"


def ask(garmin: Simulator, method: str, path: str, **body: Any) -> requests.Response:  # noqa: ANN401
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, garmin.control_url + path, json=body or None, timeout=20)


def test_counters_are_told_in_all_by_username_and_by_client(
    browser: Wire, garmin: Simulator
) -> None:
    browser.profile(browser.di_tokens(browser.ticket(NAME))["access_token"])
    counters = ask(garmin, "GET", "/counters").json()
    assert counters == garmin.counters()
    counts = counters["by_username"][NAME]
    names = ("credential_posts", "tickets_issued", "tickets_redeemed", "di_exchanges", "profiles")
    assert [counts[name] for name in names] == [1, 1, 1, 1, 1]
    assert counters["by_client"]["GCM_ANDROID_DARK"]["sign_in_pages"] == 1
    assert counters["total"]["codes_sent"] == 0


def test_codes_are_told_here_alone(browser: Wire, garmin: Simulator) -> None:
    assert ask(garmin, "GET", "/codes?username=email-x@example.com").status_code == 404
    with pytest.raises(LookupError):
        garmin.code("email-x@example.com")
    browser.sign_in("email-x@example.com")
    told = ask(garmin, "GET", "/codes?username=Email-X@example.com").json()
    assert told["code"] == garmin.code("email-x@example.com")
    assert (told["method"], told["destination"]) == ("email", "em*****@example.com")


def test_codes_can_be_made_of_anything(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(code_alphabet="XY", code_length=9)
    browser.sign_in("email-x@example.com")
    assert re.fullmatch("[XY]{9}", garmin.code("email-x@example.com"))


def test_all_that_was_handed_out_is_told_also_when_it_is_used_up(
    browser: Wire, garmin: Simulator
) -> None:
    ticket = browser.ticket(NAME)
    oauth1 = dict(parse_qsl(browser.preauthorized(ticket).text))
    oauth2 = browser.exchange(oauth1).json()
    di = browser.di_tokens(browser.ticket(NAME))
    browser.di(grant_type="refresh_token", refresh_token=di["refresh_token"])
    browser.sign_in("email-x@example.com")
    mfa = browser.verify(garmin.code("email-x@example.com")).json()["serviceTicketId"]
    mfa_oauth1 = dict(parse_qsl(browser.preauthorized(mfa).text))
    garmin.revoke_tokens()

    told = garmin.issued()
    assert ask(garmin, "GET", "/issued").json() == told
    assert {ticket, mfa} < set(told["ticket"])
    assert told["code"] == [garmin.code("email-x@example.com")]
    assert told["oauth1_token"] == [oauth1["oauth_token"], mfa_oauth1["oauth_token"]]
    assert oauth1["oauth_token_secret"] in told["oauth1_secret"]
    assert told["mfa_token"] == [mfa_oauth1["mfa_token"]]
    for tokens in (oauth2, di):
        assert tokens["access_token"] in told["access_token"]
        assert tokens["refresh_token"] in told["refresh_token"]
    cookies = {cookie.name: cookie.value for cookie in browser.session.cookies}
    for name in ("SESSION", "__cf_bm", "CASTGC"):
        assert cookies[name] in told["cookie"]
    assert cookies["GARMIN-SSO-CUST-GUID"] not in told["cookie"]


def test_codes_can_be_made_to_expire(browser: Wire, garmin: Simulator) -> None:
    browser.sign_in("email-x@example.com")
    code = garmin.code("email-x@example.com")
    assert ask(garmin, "POST", "/codes/expire", username="email-x@example.com").json() == {
        "expired": 1
    }
    assert browser.verify(code).json()["responseStatus"]["message"] == "codeEntryExpired"


def test_sessions_can_be_made_to_expire(browser: Wire, garmin: Simulator) -> None:
    browser.sign_in("email-x@example.com")
    assert ask(garmin, "POST", "/sessions/expire").json() == {"expired": 1}
    assert browser.verify("x").json()["responseStatus"]["message"] == "sessionExpired"


def test_tokens_can_be_made_to_expire(browser: Wire, garmin: Simulator) -> None:
    tokens = browser.di_tokens(browser.ticket(NAME))
    assert ask(garmin, "POST", "/tokens/expire", username=NAME).json() == {"expired": 1}
    assert browser.profile(tokens["access_token"]).status_code == 401
    refreshed = browser.di(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert browser.profile(refreshed.json()["access_token"]).status_code == 200


def test_a_reset_leaves_nothing(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(latency_ms=1)
    ticket = browser.ticket(NAME)
    assert ask(garmin, "POST", "/reset").status_code == 200
    assert garmin.settings()["latency_ms"] == 0
    assert garmin.count("requests") == 0
    assert browser.preauthorized(ticket).status_code == 401


def test_settings_are_checked(garmin: Simulator) -> None:
    reply = ask(garmin, "POST", "/settings", latency=5)
    assert reply.status_code == 422
    assert "latency" in reply.json()["error"]
    with pytest.raises(ValidationError):
        garmin.configure(latency=5)
    assert ask(garmin, "POST", "/settings", latency_ms=5).json()["latency_ms"] == 5


def test_an_account_tells_who_it_is(garmin: Simulator) -> None:
    told = ask(garmin, "GET", f"/accounts?username={NAME}").json()
    assert told["password"] == "correct horse battery staple"
    assert told["profile"]["fullName"] == "Plain Anna"


def test_every_answer_takes_its_latency(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(latency_ms=100, latency_by_path={LOGIN: 200})
    began = time.monotonic()
    browser.sign_in(NAME)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("key", ["GCM_ANDROID_DARK", "mobile"])
def test_a_client_or_a_flow_can_be_refused(browser: Wire, garmin: Simulator, key: str) -> None:
    garmin.configure(refuse={key: {"status": 429, "retry_after": 60}})
    reply = browser.sign_in(NAME)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "60")
    counts = garmin.counters()["by_username"][NAME]
    assert (counts["credential_posts"], counts["credentials_checked"]) == (1, 0)
    assert counts["refused"] == 1


def test_a_refusal_can_be_cloudflares_or_inside_the_json(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(refuse={"mobile": {"status": 403}})
    assert "Just a moment" in browser.sign_in(NAME).text
    garmin.configure(refuse={"mobile": {"status": 427, "in_body": True}})
    reply = browser.sign_in(NAME)
    assert (reply.status_code, reply.json()["error"]["status-code"]) == (200, "427")


def test_a_refusal_can_end(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(refuse={"mobile": {"times": 1}})
    assert [browser.sign_in(NAME).status_code for _ in range(2)] == [429, 200]


def test_a_page_is_refused_if_it_is_named(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(refuse={"mobile": {"status": 429, "at": ["page"]}})
    assert browser.page().status_code == 429


@pytest.mark.parametrize("key", ["oauth1", "oauth2", "di", "profile"])
def test_what_follows_a_sign_in_can_be_refused(browser: Wire, garmin: Simulator, key: str) -> None:
    garmin.configure(refuse={key: {"status": 401}})
    ticket = browser.ticket(NAME)
    match key:
        case "oauth1":
            assert browser.preauthorized(ticket).status_code == 401
        case "oauth2":
            assert browser.exchange({"oauth_token": "x", "oauth_token_secret": "y"}).ok is False
        case "di":
            assert browser.di(grant_type="refresh_token").status_code == 401
        case _:
            assert browser.profile("x").status_code == 401
    assert garmin.count("refused") == 1


@pytest.mark.parametrize("kind", ["hang", "hang_body", "drip"])
def test_a_fault_can_keep_people_waiting(browser: Wire, garmin: Simulator, kind: str) -> None:
    garmin.configure(drip_interval_ms=60_000, faults=[{"kind": kind, "path": LOGIN}])
    browser.page()
    browser.timeout = SHORT
    with pytest.raises(requests.exceptions.RequestException) as caught:
        browser.post_credentials(NAME)
    assert "timed out" in str(caught.value).lower()


@pytest.mark.parametrize("kind", ["cut", "cut_body"])
def test_a_fault_can_cut_the_line(browser: Wire, garmin: Simulator, kind: str) -> None:
    garmin.configure(faults=[{"kind": kind, "path": LOGIN}])
    with pytest.raises(requests.exceptions.RequestException):
        browser.sign_in(NAME)


def test_a_slow_answer_arrives_whole(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(drip_interval_ms=0, faults=[{"kind": "drip", "path": LOGIN}])
    assert browser.sign_in(NAME).json()["responseStatus"]["type"] == "SUCCESSFUL"


@pytest.mark.parametrize("kind", ["hang_connect", "cut_connect"])
def test_a_fault_can_lie_before_tls(browser: Wire, garmin: Simulator, kind: str) -> None:
    garmin.configure(faults=[{"kind": kind, "host": "sso.*"}])
    browser.timeout = SHORT
    with pytest.raises(requests.exceptions.RequestException):
        browser.page()
    wait_until(lambda: garmin.count("faults") == 1)
    assert garmin.count("requests") == 0


def test_a_fault_can_answer_with_something_else(browser: Wire, garmin: Simulator) -> None:
    browser.page()
    garmin.configure(faults=[{"kind": "status", "path": LOGIN, "status": 502}])
    assert browser.post_credentials(NAME).status_code == 502
    garmin.configure(faults=[{"kind": "html", "path": LOGIN}])
    page = browser.post_credentials(NAME)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html;charset=UTF-8")
    garmin.configure(faults=[{"kind": "garbage", "path": LOGIN}])
    with pytest.raises(requests.exceptions.JSONDecodeError):
        browser.post_credentials(NAME).json()
    assert garmin.count("credential_posts") == 0


def test_a_fault_can_take_the_field_that_matters(browser: Wire, garmin: Simulator) -> None:
    field = "serviceTicketId"
    garmin.configure(faults=[{"kind": "without_field", "path": LOGIN, "field": field}])
    assert field not in browser.sign_in(NAME).json()


def test_a_fault_can_take_a_field_of_form_text(browser: Wire, garmin: Simulator) -> None:
    field = "oauth_token_secret"
    garmin.configure(faults=[{"kind": "without_field", "path": "*/preauthorized", "field": field}])
    text = browser.preauthorized(browser.ticket(NAME)).text
    assert "oauth_token=" in text
    assert field not in text


def test_a_fault_can_come_later_and_end(browser: Wire, garmin: Simulator) -> None:
    fault = {"kind": "status", "path": LOGIN, "skip": 1, "times": 2}
    garmin.configure(faults=[fault])
    assert [browser.sign_in(NAME).status_code for _ in range(4)] == [200, 503, 503, 200]


def test_changing_something_else_does_not_bring_a_fault_back(
    browser: Wire, garmin: Simulator
) -> None:
    garmin.configure(faults=[{"kind": "status", "path": LOGIN, "times": 1}])
    assert browser.sign_in(NAME).status_code == 503
    garmin.configure(latency_ms=1)
    garmin.add_fault(kind="status", path=CODE)
    assert browser.sign_in(NAME).status_code == 200
    assert len(garmin.settings()["faults"]) == 2


def test_an_answer_can_be_lost_after_garmin_worked(browser: Wire, garmin: Simulator) -> None:
    refresh_token = browser.di_tokens(browser.ticket(NAME))["refresh_token"]
    garmin.configure(faults=[{"kind": "cut", "path": DI, "when": "after", "times": 1}])
    with pytest.raises(requests.exceptions.ConnectionError):
        browser.di(grant_type="refresh_token", refresh_token=refresh_token)
    assert garmin.count("di_refreshes") == 1
    lost = browser.di(grant_type="refresh_token", refresh_token=refresh_token)
    assert lost.json()["error"] == "invalid_grant"


def test_the_reply_to_a_wrong_code_can_be_chosen(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(wrong_code={"status": 401, "type": "INVALID_MFA_CODE"})
    browser.sign_in("email-x@example.com")
    reply = browser.verify("not it")
    assert reply.status_code == 401
    assert reply.json()["responseStatus"]["type"] == "INVALID_MFA_CODE"


def test_what_is_not_there_is_not_found(garmin: Simulator) -> None:
    assert ask(garmin, "GET", "/health").json() == {"status": "ok"}
    assert ask(garmin, "GET", "/nothing").status_code == 404
