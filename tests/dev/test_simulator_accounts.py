"""Accounts by name: the first words of a username say what happens."""

import pytest
import requests

from dev.simulator import Simulator
from dev.simulator.accounts import Method, Outcome, account_for
from tests.dev.wire import Wire, wait_until

SHORT = 0.5


def verdict(reply: requests.Response) -> tuple[int, str]:
    """The status, and what the JSON says: its type, or the status inside the error."""
    value = reply.json()
    error = value.get("error", {}).get("status-code")
    return reply.status_code, error or value["responseStatus"]["type"]


def test_words_are_read_until_one_means_nothing() -> None:
    account = account_for("Sms-CodeLocked-email@Example.com", "garmin.com")
    assert (account.method, account.code) == (Method.EMAIL, Outcome.LOCKED)
    assert account_for("anna-locked@example.com", "garmin.com").login is Outcome.ACCEPTED
    assert account_for("plain-locked@example.com", "garmin.com").login is Outcome.ACCEPTED
    assert account_for("limited-after-1@example.com", "garmin.com").login is Outcome.LIMITED_AFTER
    assert account_for("profile500x5-1@example.com", "garmin.com").profile_failures == 5


def test_a_person_is_the_same_every_time_and_nobody_else() -> None:
    people = [account_for(f"plain-{n}@example.com", "garmin.com") for n in (1, 1, 2)]
    assert people[0].garmin_guid == people[1].garmin_guid != people[2].garmin_guid
    assert people[0].profile_id != people[2].profile_id


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("plain", (200, "SUCCESSFUL")),
        ("email", (200, "MFA_REQUIRED")),
        ("wrongpassword", (401, "INVALID_USERNAME_PASSWORD")),
        ("locked", (401, "ACCOUNT_LOCKED")),
        ("captcha", (200, "CAPTCHA_REQUIRED")),
        ("limited", (429, "429")),
        ("limited-after", (429, "429")),
        ("limitedbody", (200, "429")),
        ("mfa427", (200, "427")),
        ("http427", (427, "427")),
    ],
)
@pytest.mark.parametrize("flow", ["mobile", "portal"])
def test_credentials(browser: Wire, flow: str, kind: str, expected: tuple[int, str]) -> None:
    browser.flow = flow
    assert verdict(browser.sign_in(f"{kind}-x@example.com")) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("wrongcode", (200, "MFA_CODE_INVALID")),
        ("codelocked", (401, "ACCOUNT_LOCKED")),
        ("codelimit", (401, "MFA_CODE_MAX_LIMIT")),
        ("codeexpired", (401, "MFA_CODE_EXPIRED")),
        ("codelimited", (429, "429")),
        ("codelimitedbody", (200, "429")),
    ],
)
def test_codes(browser: Wire, garmin: Simulator, kind: str, expected: tuple[int, str]) -> None:
    username = f"{kind}-x@example.com"
    assert verdict(browser.sign_in(username)) == (200, "MFA_REQUIRED")
    assert verdict(browser.verify(garmin.code(username))) == expected
    assert garmin.count("codes_checked", username) == 1
    assert garmin.count("codes_accepted", username) == 0


def test_only_some_limits_say_how_long(browser: Wire) -> None:
    assert "Retry-After" not in browser.sign_in("limited-x@example.com").headers
    assert browser.sign_in("limited-after-x@example.com").headers["Retry-After"] == "120"


@pytest.mark.parametrize(("kind", "status"), [("cloudflare", 403), ("down", 503)])
def test_infrastructure_answers_in_html(browser: Wire, kind: str, status: int) -> None:
    reply = browser.sign_in(f"{kind}-x@example.com")
    assert (reply.status_code, reply.headers["Content-Type"]) == (status, "text/html;charset=UTF-8")


def test_garbage_calls_itself_json(browser: Wire) -> None:
    reply = browser.sign_in("garbage-x@example.com")
    assert reply.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        reply.json()


def test_a_hanging_sign_in_is_counted(browser: Wire, garmin: Simulator) -> None:
    browser.page()
    browser.timeout = SHORT
    with pytest.raises(requests.exceptions.ReadTimeout):
        browser.post_credentials("hang-x@example.com")
    wait_until(lambda: garmin.count("credential_posts", "hang-x@example.com") == 1)


@pytest.mark.parametrize(("kind", "checked"), [("cut-before", 0), ("cut-after", 1)])
def test_a_cut_comes_before_or_after_garmin_worked(
    browser: Wire, garmin: Simulator, kind: str, checked: int
) -> None:
    username = f"{kind}-x@example.com"
    with pytest.raises(requests.exceptions.ConnectionError):
        browser.sign_in(username)
    assert garmin.count("credential_posts", username) == checked
    assert garmin.count("tickets_issued", username) == checked


@pytest.mark.parametrize(("kind", "accepted"), [("codecut-before", 0), ("codecut-after", 1)])
def test_a_code_may_be_accepted_though_the_answer_is_lost(
    browser: Wire, garmin: Simulator, kind: str, accepted: int
) -> None:
    username = f"{kind}-x@example.com"
    browser.sign_in(username)
    with pytest.raises(requests.exceptions.ConnectionError):
        browser.verify(garmin.code(username))
    assert garmin.count("codes_accepted", username) == accepted


def test_a_profile_fails_as_often_as_its_name_says(browser: Wire) -> None:
    token = browser.di_tokens(browser.ticket("profile500x2-x@example.com"))["access_token"]
    assert [browser.profile(token).status_code for _ in range(3)] == [500, 500, 200]


def test_an_authenticator_app_is_sent_nothing(browser: Wire, garmin: Simulator) -> None:
    username = "app-x@example.com"
    info = browser.sign_in(username).json()["customerMfaInfo"]
    assert info["mfaLastMethodUsed"] == "totp"
    assert garmin.count("codes_sent") == 0
    assert verdict(browser.verify(garmin.code(username))) == (200, "SUCCESSFUL")
