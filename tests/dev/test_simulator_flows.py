"""What the simulated Garmin checks in a request, and the recorded shape of its replies."""

import re
from urllib.parse import parse_qs, urlsplit

import requests

from dev.simulator import PASSWORD, Simulator
from dev.simulator.accounts import account_for
from dev.simulator.words import Method, Outcome
from tests.dev.wire import PROFILE, SERVICE, SSO, Wire, preauthorized_url, sign, wire

PLAIN = "plain-anna@example.com"
EMAIL = "email-anna@example.com"
EMBED = f"{SSO}/sso/embed"
WIDGET = {"id": "gauth-widget", "embedWidget": "true", "service": EMBED, "source": EMBED}
WIDGET_CODE = f"{SSO}/sso/verifyMFA/loginEnterMfaCode"
REPLY_FIELDS = {
    "serviceURL",
    "serviceTicketId",
    "responseStatus",
    "responseReason",
    "customerMfaInfo",
    "consentTypeList",
    "captchaAlreadyPassed",
    "samlResponse",
    "authType",
}


def status_type(reply: requests.Response) -> str:
    return str(reply.json()["responseStatus"]["type"])


def test_a_username_is_read_up_to_its_first_unknown_word() -> None:
    account = account_for("Sms-CodeLocked-email-x-locked@Example.com", "garmin.com")
    assert (account.method, account.code) == (Method.EMAIL, Outcome.LOCKED)
    assert account.login is Outcome.ACCEPTED
    assert account_for("limited-after-1@example.com", "garmin.com").login is Outcome.LIMITED_AFTER
    assert account_for("profile500x5-1@example.com", "garmin.com").profile_failures == 5
    assert account_for("wrongcode-1@example.com", "garmin.com").method is Method.EMAIL


def test_the_sign_in_page_sets_the_recorded_cookies(client: Wire) -> None:
    client.page()
    cookies = {cookie.name: cookie for cookie in client.session.cookies}
    assert set(cookies) == {"SESSION", "__VCAP_ID__", "__cf_bm", "_cfuvid", "__cflb"}
    assert all(cookie.secure for cookie in cookies.values())
    domains = {name: cookie.domain for name, cookie in cookies.items() if cookie.domain_specified}
    assert domains == {"__cf_bm": ".garmin.com", "_cfuvid": ".garmin.com"}


def test_credentials_need_a_session_and_a_referer(client: Wire, garmin: Simulator) -> None:
    assert client.post_credentials(PLAIN).status_code == 429
    client.client_id = "GCM_IOS_DARK"
    assert client.sign_in(PLAIN).status_code == 429
    assert garmin.count("credential_posts") == 2
    assert garmin.count("credentials_checked") == 0
    client.headers = {"Referer": f"{SSO}/mobile/sso/en_US/sign-in"}
    assert client.post_credentials(PLAIN).status_code == 200


def test_replies_have_the_recorded_shape(client: Wire, garmin: Simulator) -> None:
    reply = client.sign_in(PLAIN)
    value = reply.json()
    assert set(value) == REPLY_FIELDS
    assert value["responseStatus"] == {"type": "SUCCESSFUL", "message": "", "httpStatus": "OK"}
    assert value["serviceURL"] == SERVICE
    assert re.fullmatch("ST-.+-sso", value["serviceTicketId"])
    assert {"CASTGC", "GARMIN-SSO", "GARMIN-SSO-CUST-GUID"} <= set(reply.cookies.keys())
    reply = client.sign_in(EMAIL)
    assert set(reply.json()) == REPLY_FIELDS
    assert status_type(reply) == "MFA_REQUIRED"
    info = reply.json()["customerMfaInfo"]
    assert (info["email"], info["phoneNumber"]) == ("em*****@example.com", None)
    assert garmin.code(EMAIL) not in reply.text


def test_a_code_works_once_and_only_in_its_session(client: Wire, garmin: Simulator) -> None:
    client.sign_in(EMAIL)
    code = garmin.code(EMAIL)
    with wire(garmin) as stranger:
        stranger.page()
        assert stranger.verify(code).json()["responseStatus"]["message"] == "sessionExpired"
    assert status_type(client.verify(code, flow="portal")) == "SUCCESSFUL"
    assert status_type(client.verify(code)) == "MFA_CODE_INVALID"


def test_sessions_tickets_and_tokens_expire(client: Wire, garmin: Simulator) -> None:
    tokens = client.di_tokens(PLAIN)
    ticket = client.ticket(PLAIN)
    client.sign_in(EMAIL)
    garmin.configure(clock_offset_s=301)
    assert client.preauthorized(ticket).status_code == 401
    garmin.configure(clock_offset_s=1801)
    reply = client.verify(garmin.code(EMAIL))
    assert reply.json()["responseStatus"]["message"] == "sessionExpired"
    garmin.configure(clock_offset_s=tokens["expires_in"] + 1)
    assert client.profile(tokens["access_token"]).status_code == 401


def test_a_ticket_works_once_and_only_for_its_service(client: Wire, garmin: Simulator) -> None:
    ticket = client.ticket(PLAIN)
    assert client.preauthorized(ticket, service="https://connect.garmin.com/app").status_code == 401
    assert client.exchange_at_di(ticket, "SOMEBODY_ELSE").json()["error"] == "invalid_client"
    assert client.preauthorized(ticket).status_code == 200
    assert client.preauthorized(ticket).status_code == 401
    assert client.exchange_at_di(ticket).json()["error"] == "invalid_grant"
    assert garmin.count("tickets_redeemed") == 1


def test_an_oauth1_signature_is_checked_and_works_once(client: Wire) -> None:
    ticket, other = client.ticket(PLAIN), client.ticket(PLAIN)
    assert client.preauthorized(ticket, secret="not the secret").status_code == 401
    assert client.preauthorized(ticket, signed={"Accept": "*/*"}).status_code == 401
    signed = sign("GET", preauthorized_url(ticket))
    assert client.preauthorized(other, signed=signed).status_code == 401
    assert client.preauthorized(ticket, signed=signed).status_code == 401, "the nonce was used"
    assert client.preauthorized(ticket).status_code == 200


def test_an_oauth1_exchange_needs_the_mfa_token_and_the_secret(
    client: Wire, garmin: Simulator
) -> None:
    client.sign_in(EMAIL)
    token = client.oauth1_token(client.verify(garmin.code(EMAIL)).json()["serviceTicketId"])
    mfa = f"mfa_token={token['mfa_token']}"
    assert client.exchange(token).status_code == 401
    assert client.exchange({**token, "oauth_token_secret": "guessed"}, mfa).status_code == 401
    reply = client.exchange(token, f"audience=GARMIN_CONNECT_MOBILE_ANDROID_DI&{mfa}")
    assert client.profile(reply.json()["access_token"]).status_code == 200


def test_the_profile_belongs_to_the_token(client: Wire) -> None:
    for username in (PLAIN, "plain-bob@example.com"):
        token = client.di_tokens(username)["access_token"]
        assert client.profile(token).json()["userName"] == username
    assert client.profile("nobody's").status_code == 401
    assert client.profile(token, PROFILE.replace("garmin.com", "garmin.cn")).status_code == 401


def csrf(page: requests.Response) -> str:
    match = re.search(r'name="_csrf"\s+value="(.*?)"', page.text)
    assert match is not None
    return match[1]


def sign_in_by_widget(client: Wire, username: str, token: str | None = None) -> requests.Response:
    client.get(EMBED, params=WIDGET)
    page = client.get(f"{SSO}/sso/signin", params=WIDGET)
    form = {"username": username, "password": PASSWORD, "embed": "true"}
    form["_csrf"] = csrf(page) if token is None else token
    return client.post(f"{SSO}/sso/signin", params=WIDGET, data=form)


def enter(client: Wire, code: str, token: str) -> requests.Response:
    form = {"mfa-code": code, "embed": "true", "_csrf": token, "fromPage": "setupEnterMfaCode"}
    return client.post(WIDGET_CODE, params=WIDGET, data=form)


def test_the_widgets_credentials_need_its_session_and_csrf_token(
    client: Wire, garmin: Simulator
) -> None:
    client.get(EMBED, params=WIDGET)
    assert "SESSION" not in client.session.cookies
    form = {"username": PLAIN, "password": PASSWORD, "_csrf": "x"}
    assert client.post(f"{SSO}/sso/signin", params=WIDGET, data=form).status_code == 429
    assert sign_in_by_widget(client, PLAIN, token="guessed").status_code == 403
    assert garmin.count("credentials_checked") == 0


def test_the_widget_answers_a_wrong_code_with_200_and_no_csrf_token(
    client: Wire, garmin: Simulator
) -> None:
    page = sign_in_by_widget(client, EMAIL)
    assert [reply.status_code for reply in page.history] == [302]
    assert 'var mfaMethod = "email";' in page.text
    assert 'var codeSentTo = "em*****@example.com";' in page.text
    token = csrf(page)
    page = enter(client, "wrong", token)
    assert page.status_code == 200
    assert '<div id="invalidCode" class="error">' in page.text
    assert csrf(page) == ""
    assert enter(client, garmin.code(EMAIL), "").status_code == 403
    page = enter(client, garmin.code(EMAIL), token)
    assert "<title>Success</title>" in page.text
    assert "logintoken" in parse_qs(urlsplit(page.url).query)
    assert client.get(page.url).status_code == 401, "a login token works once"
    assert garmin.count("tickets_issued") == 1


def test_the_widget_sends_another_code_after_a_while(client: Wire, garmin: Simulator) -> None:
    sign_in_by_widget(client, EMAIL)
    guid = garmin.account(EMAIL)["profile"]["garminGUID"]
    body = {"customerGuid": guid, "mfaMethod": "email", "locale": ""}
    url = f"{SSO}/sso/verifyMFA/mfaCode"
    assert client.post(url, json=body).status_code == 429
    garmin.configure(clock_offset_s=31)
    assert client.post(url, json=body).status_code == 200
    assert garmin.count("codes_sent", EMAIL) == 2
