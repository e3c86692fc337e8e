"""What the simulator insists on, request by request."""

import base64
import json

import pytest
import requests

from dev.simulator import Simulator
from dev.simulator.di import TICKET_GRANT
from tests.dev.wire import OAUTH, PROFILE, SERVICE, SSO, Wire, sign, wire

PEOPLE = ("plain-anna@example.com", "plain-bob@example.com")
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


def oauth1_token(browser: Wire, ticket: str) -> dict[str, str]:
    reply = browser.preauthorized(ticket)
    assert reply.status_code == 200, reply.text
    return dict(pair.split("=", 1) for pair in reply.text.split("&"))


@pytest.mark.parametrize("url", ["https://example.org/", "https://www.garmin.com/"])
def test_the_proxy_leads_nowhere_else(browser: Wire, url: str) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        browser.session.get(url, timeout=20)


def test_the_proxy_forwards_nothing_in_plain_text(browser: Wire, garmin: Simulator) -> None:
    browser.session.proxies = {"http": garmin.proxy_url}
    assert browser.session.get("http://sso.garmin.com/", timeout=20).status_code == 403


def test_its_authority_is_the_only_one_to_trust(browser: Wire, garmin: Simulator) -> None:
    with open(garmin.ca_file) as ca_file:  # noqa: PTH123
        assert ca_file.read().count("BEGIN CERTIFICATE") == 1
    browser.session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        browser.page()


def test_a_sign_in_page_sets_the_recorded_cookies(browser: Wire) -> None:
    browser.page()
    cookies = {cookie.name: cookie for cookie in browser.session.cookies}
    assert set(cookies) == {"SESSION", "__VCAP_ID__", "__cf_bm", "_cfuvid", "__cflb"}
    assert all(cookie.secure for cookie in cookies.values())
    wide = {name for name, cookie in cookies.items() if cookie.domain_specified}
    assert wide == {"__cf_bm", "_cfuvid"}
    assert {cookies[name].domain for name in wide} == {".garmin.com"}


def test_credentials_without_a_session_are_refused(browser: Wire, garmin: Simulator) -> None:
    assert browser.post_credentials("plain-anna@example.com").status_code == 429
    assert garmin.count("credential_posts") == 1
    assert garmin.count("credentials_checked") == 0


@pytest.mark.parametrize("client_id", ["GCM_IOS_DARK", "GarminConnect"])
def test_only_garth_may_leave_the_referer_out(browser: Wire, client_id: str) -> None:
    browser.client_id = client_id
    assert browser.sign_in("plain-anna@example.com").status_code == 429
    browser.headers = {"Referer": f"{SSO}/mobile/sso/en_US/sign-in"}
    assert browser.post_credentials("plain-anna@example.com").status_code == 200


@pytest.mark.parametrize("flow", ["mobile", "portal"])
def test_success_has_the_recorded_shape(browser: Wire, flow: str) -> None:
    browser.flow = flow
    reply = browser.sign_in("plain-anna@example.com")
    value = reply.json()
    assert reply.status_code == 200
    assert set(value) == REPLY_FIELDS
    assert value["responseStatus"] == {"type": "SUCCESSFUL", "message": "", "httpStatus": "OK"}
    assert value["serviceURL"] == SERVICE
    assert value["serviceTicketId"].startswith("ST-")
    assert value["serviceTicketId"].endswith("-sso")
    assert {"CASTGC", "GARMIN-SSO", "GARMIN-SSO-CUST-GUID"} <= set(reply.cookies.keys())


def test_a_demand_for_a_code_has_the_recorded_shape(browser: Wire, garmin: Simulator) -> None:
    reply = browser.sign_in("email-anna@example.com")
    value = reply.json()
    assert reply.status_code == 200
    assert set(value) == REPLY_FIELDS
    assert value["responseStatus"]["type"] == "MFA_REQUIRED"
    info = value["customerMfaInfo"]
    assert info["email"] == "em*****@example.com"
    assert (info["phoneNumber"], info["mfaLastMethodUsed"]) == (None, "email")
    assert garmin.code("email-anna@example.com") not in reply.text


def test_a_wrong_password_has_the_recorded_shape(browser: Wire) -> None:
    reply = browser.sign_in("plain-anna@example.com", "wrong")
    assert reply.status_code == 401
    assert reply.json()["responseStatus"]["type"] == "INVALID_USERNAME_PASSWORD"
    assert reply.json()["responseStatus"]["message"] == "generalLoginInvalidUsernameOrPassword"


def test_a_code_needs_the_session_that_asked_for_it(browser: Wire, garmin: Simulator) -> None:
    browser.sign_in("email-anna@example.com")
    code = garmin.code("email-anna@example.com")
    with wire(garmin) as stranger:
        stranger.page()
        reply = stranger.verify(code)
    assert reply.status_code == 401
    assert reply.json()["responseStatus"]["message"] == "sessionExpired"
    assert browser.verify(code).json()["responseStatus"]["type"] == "SUCCESSFUL"


def test_the_portal_takes_a_code_of_the_mobile_session(browser: Wire, garmin: Simulator) -> None:
    browser.sign_in("email-anna@example.com")
    reply = browser.verify(garmin.code("email-anna@example.com"), flow="portal")
    assert reply.json()["responseStatus"]["type"] == "SUCCESSFUL"


def test_a_code_works_once(browser: Wire, garmin: Simulator) -> None:
    browser.sign_in("email-anna@example.com")
    code = garmin.code("email-anna@example.com")
    assert browser.verify(code).json()["responseStatus"]["type"] == "SUCCESSFUL"
    assert browser.verify(code).json()["responseStatus"]["type"] == "MFA_CODE_INVALID"


def test_too_many_wrong_codes_end_the_sign_in(browser: Wire, garmin: Simulator) -> None:
    garmin.configure(max_wrong_codes=2)
    browser.sign_in("email-anna@example.com")
    for _ in range(2):
        assert browser.verify("x").json()["responseStatus"]["message"] == "codeEntryInvalid"
    reply = browser.verify(garmin.code("email-anna@example.com"))
    assert reply.json()["responseStatus"]["message"] == "codeEntryMaxLimit"


def test_a_session_expires(browser: Wire, garmin: Simulator) -> None:
    browser.sign_in("email-anna@example.com")
    garmin.configure(clock_offset_s=1801)
    reply = browser.verify(garmin.code("email-anna@example.com"))
    assert reply.json()["responseStatus"]["message"] == "sessionExpired"


def test_a_ticket_works_once(browser: Wire, garmin: Simulator) -> None:
    ticket = browser.ticket("plain-anna@example.com")
    assert browser.preauthorized(ticket).status_code == 200
    assert browser.preauthorized(ticket).status_code == 401
    grant = {"grant_type": TICKET_GRANT, "service_url": SERVICE}
    assert browser.di(service_ticket=ticket, **grant).status_code == 400
    assert garmin.count("tickets_redeemed") == 1


def test_a_ticket_is_for_its_service_alone(browser: Wire) -> None:
    ticket = browser.ticket("plain-anna@example.com")
    elsewhere = browser.preauthorized(ticket, service="https://connect.garmin.com/app")
    assert elsewhere.status_code == 401


def test_a_ticket_expires(browser: Wire, garmin: Simulator) -> None:
    ticket = browser.ticket("plain-anna@example.com")
    garmin.configure(clock_offset_s=301)
    assert browser.preauthorized(ticket).status_code == 401


def test_a_wrong_signature_leaves_the_ticket_whole(browser: Wire) -> None:
    ticket = browser.ticket("plain-anna@example.com")
    assert browser.preauthorized(ticket, secret="not the secret").status_code == 401
    assert browser.preauthorized(ticket, signed={"Accept": "*/*"}).status_code == 401
    assert browser.preauthorized(ticket).status_code == 200


def test_a_signature_is_for_one_request(browser: Wire) -> None:
    ticket = browser.ticket("plain-anna@example.com")
    url = f"{OAUTH}/preauthorized?ticket={ticket}&login-url={SERVICE}&accepts-mfa-tokens=true"
    signed = sign("GET", url)
    other = browser.ticket("plain-bob@example.com")
    assert browser.preauthorized(other, signed=signed).status_code == 401
    assert browser.preauthorized(ticket, signed=signed).status_code == 401, "its nonce is used"


def test_exchanging_needs_the_mfa_token_and_the_secret(browser: Wire, garmin: Simulator) -> None:
    browser.sign_in("email-anna@example.com")
    ticket = browser.verify(garmin.code("email-anna@example.com")).json()["serviceTicketId"]
    token = oauth1_token(browser, ticket)
    mfa = f"mfa_token={token['mfa_token']}"
    assert browser.exchange(token).status_code == 401
    assert browser.exchange({**token, "oauth_token_secret": "guessed"}, mfa).status_code == 401
    reply = browser.exchange(token, f"audience=GARMIN_CONNECT_MOBILE_ANDROID_DI&{mfa}")
    assert set(reply.json()) == {
        "scope",
        "jti",
        "access_token",
        "token_type",
        "refresh_token",
        "expires_in",
        "refresh_token_expires_in",
    }
    assert browser.profile(reply.json()["access_token"]).status_code == 200


def test_the_profile_is_that_of_the_token_presented(browser: Wire) -> None:
    tokens = [browser.di_tokens(browser.ticket(name))["access_token"] for name in PEOPLE]
    names = [browser.profile(token).json()["userName"] for token in tokens]
    assert names == list(PEOPLE)
    assert browser.profile("nobody's").status_code == 401


def test_a_token_of_one_domain_is_worth_nothing_at_the_other(browser: Wire) -> None:
    token = browser.di_tokens(browser.ticket("plain-anna@example.com"))["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    elsewhere = PROFILE.replace("garmin.com", "garmin.cn")
    assert browser.session.get(elsewhere, headers=headers, timeout=20).status_code == 401


def test_every_sign_in_gets_tokens_of_its_own(browser: Wire) -> None:
    first, second = (browser.di_tokens(browser.ticket("plain-anna@example.com")) for _ in range(2))
    assert first["access_token"] != second["access_token"]
    assert first["refresh_token"] != second["refresh_token"]


def test_a_di_token_says_who_it_is_for(browser: Wire, garmin: Simulator) -> None:
    token = browser.di_tokens(browser.ticket("plain-anna@example.com"))["access_token"]
    header, payload = (
        json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]
    )
    assert header["alg"] != "none"
    assert payload["client_id"] == "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2"
    assert payload["exp"] > payload["iat"]
    profile = garmin.account("plain-anna@example.com")["profile"]
    assert payload["garmin_guid"] == profile["garminGUID"]


def test_an_unknown_di_client_leaves_the_ticket_whole(browser: Wire) -> None:
    ticket = browser.ticket("plain-anna@example.com")
    grant = {"grant_type": TICKET_GRANT, "service_ticket": ticket, "service_url": SERVICE}
    assert browser.di("SOMEBODY_ELSE", **grant).json()["error"] == "invalid_client"
    assert browser.di(**grant).status_code == 200


def test_a_di_refresh_token_rotates(browser: Wire) -> None:
    spent = browser.di_tokens(browser.ticket("plain-anna@example.com"))["refresh_token"]
    fresh = browser.di(grant_type="refresh_token", refresh_token=spent)
    again = browser.di(grant_type="refresh_token", refresh_token=spent)
    assert fresh.status_code == 200
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_access_tokens_expire(browser: Wire, garmin: Simulator) -> None:
    tokens = browser.di_tokens(browser.ticket("plain-anna@example.com"))
    garmin.configure(clock_offset_s=tokens["expires_in"] + 1)
    assert browser.profile(tokens["access_token"]).status_code == 401


def test_revoked_tokens_cannot_be_refreshed(browser: Wire, garmin: Simulator) -> None:
    tokens = browser.di_tokens(browser.ticket("plain-anna@example.com"))
    assert garmin.revoke_tokens("plain-anna@example.com") == 2
    assert browser.profile(tokens["access_token"]).status_code == 401
    reply = browser.di(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert reply.status_code == 400


def test_what_garmin_does_not_have_is_not_found(browser: Wire) -> None:
    assert browser.session.get(f"{SSO}/nothing/here", timeout=20).status_code == 404
