"""The widget's HTML flow, request by request."""

import re

import pytest
import requests

from dev.simulator import PASSWORD, Simulator
from tests.dev.wire import SSO, Wire

EMBED = f"{SSO}/sso/embed"
PARAMS = {"id": "gauth-widget", "embedWidget": "true", "service": EMBED, "source": EMBED}
CODE = f"{SSO}/sso/verifyMFA/loginEnterMfaCode"


def csrf(page: requests.Response) -> str:
    match = re.search(r'name="_csrf"\s+value="(.*?)"', page.text)
    assert match is not None
    return match[1]


def title(page: requests.Response) -> str:
    match = re.search(r"<title>(.+?)</title>", page.text)
    assert match is not None
    return match[1]


def sign_in(
    browser: Wire, username: str, password: str = PASSWORD, token: str | None = None
) -> requests.Response:
    browser.session.get(EMBED, params=PARAMS, timeout=20)
    page = browser.session.get(f"{SSO}/sso/signin", params=PARAMS, timeout=20)
    form = {"username": username, "password": password, "embed": "true"}
    form["_csrf"] = csrf(page) if token is None else token
    return browser.session.post(f"{SSO}/sso/signin", params=PARAMS, data=form, timeout=20)


def enter(browser: Wire, code: str, token: str) -> requests.Response:
    form = {"mfa-code": code, "embed": "true", "_csrf": token, "fromPage": "setupEnterMfaCode"}
    return browser.session.post(CODE, params=PARAMS, data=form, timeout=20)


def test_the_embed_page_opens_no_session(browser: Wire) -> None:
    browser.session.get(EMBED, params=PARAMS, timeout=20)
    assert "SESSION" not in browser.session.cookies
    browser.session.get(f"{SSO}/sso/signin", params=PARAMS, timeout=20)
    assert "SESSION" in browser.session.cookies


def test_success_is_a_page_with_a_ticket(browser: Wire) -> None:
    page = sign_in(browser, "plain-anna@example.com")
    assert (page.status_code, title(page)) == (200, "Success")
    ticket = re.search(r'embed\?ticket=(ST-[^"&\s]+-cas)"', page.text)
    assert ticket is not None
    assert browser.preauthorized(ticket[1], service=EMBED).status_code == 200


@pytest.mark.parametrize("token", ["", "guessed"])
def test_credentials_need_the_token_of_the_form(
    browser: Wire, garmin: Simulator, token: str
) -> None:
    page = sign_in(browser, "plain-anna@example.com", token=token)
    assert page.status_code == 403
    assert garmin.count("credentials_checked") == 0


def test_credentials_need_a_session(browser: Wire) -> None:
    form = {"username": "plain-anna@example.com", "password": PASSWORD, "_csrf": "x"}
    reply = browser.session.post(f"{SSO}/sso/signin", params=PARAMS, data=form, timeout=20)
    assert reply.status_code == 429


def test_a_wrong_password_brings_the_form_back(browser: Wire) -> None:
    page = sign_in(browser, "plain-anna@example.com", "wrong")
    assert page.status_code == 401
    assert title(page) == "GARMIN Authentication Application"
    assert csrf(page)


def test_a_code_is_asked_for_on_a_page_of_its_own(browser: Wire, garmin: Simulator) -> None:
    page = sign_in(browser, "email-anna@example.com")
    assert [reply.status_code for reply in page.history] == [302]
    assert page.url.startswith(CODE)
    assert title(page) == "Enter MFA code for login"
    guid = garmin.account("email-anna@example.com")["profile"]["garminGUID"]
    assert f'var customerGuid = "{guid}";' in page.text
    assert 'var mfaMethod = "email";' in page.text
    assert 'var codeSentTo = "em*****@example.com";' in page.text


def test_a_wrong_code_is_a_200_with_an_empty_token(browser: Wire, garmin: Simulator) -> None:
    token = csrf(sign_in(browser, "email-anna@example.com"))
    page = enter(browser, "not it", token)
    assert (page.status_code, title(page)) == (200, "Enter MFA code for login")
    assert '<div id="invalidCode" class="error">' in page.text
    assert csrf(page) == ""
    assert title(enter(browser, garmin.code("email-anna@example.com"), token)) == "Success"


def test_a_code_needs_the_token_of_the_form(browser: Wire, garmin: Simulator) -> None:
    sign_in(browser, "email-anna@example.com")
    page = enter(browser, garmin.code("email-anna@example.com"), "")
    assert page.status_code == 403
    assert garmin.count("codes_accepted") == 0


def test_the_way_to_the_ticket_works_once(browser: Wire, garmin: Simulator) -> None:
    token = csrf(sign_in(browser, "email-anna@example.com"))
    page = enter(browser, garmin.code("email-anna@example.com"), token)
    assert [reply.status_code for reply in page.history] == [302]
    assert "/sso/login?logintoken=" in page.url
    assert browser.session.get(page.url, timeout=20).status_code == 401
    assert garmin.count("tickets_issued") == 1


def test_a_code_is_sent_again_after_a_while(browser: Wire, garmin: Simulator) -> None:
    username = "email-anna@example.com"
    sign_in(browser, username)
    guid = garmin.account(username)["profile"]["garminGUID"]
    body = {"customerGuid": guid, "mfaMethod": "email", "locale": ""}
    url = f"{SSO}/sso/verifyMFA/mfaCode"
    assert browser.session.post(url, json=body, timeout=20).status_code == 429
    garmin.configure(clock_offset_s=31)
    assert browser.session.post(url, json=body, timeout=20).status_code == 200
    assert garmin.count("codes_sent", username) == 2


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("locked", 200, "Account Locked"),
        ("captcha", 401, "GARMIN Authentication Application"),
        ("cloudflare", 403, "Just a moment..."),
        ("down", 503, "503 Service Temporarily Unavailable"),
    ],
)
def test_credentials(browser: Wire, kind: str, status: int, words: str) -> None:
    page = sign_in(browser, f"{kind}-x@example.com")
    assert (page.status_code, title(page)) == (status, words)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("wrongcode", '<div id="invalidCode" class="error">'),
        ("codeexpired", '<div id="expiredCode" class="error">'),
        ("codelimit", '<div id="maxLimit" class="error">'),
        ("codelocked", "Account Locked"),
    ],
)
def test_codes(browser: Wire, garmin: Simulator, kind: str, words: str) -> None:
    username = f"{kind}-x@example.com"
    token = csrf(sign_in(browser, username))
    page = enter(browser, garmin.code(username), token)
    assert page.status_code == 200
    assert words in page.text
    assert garmin.count("codes_checked", username) == 1
