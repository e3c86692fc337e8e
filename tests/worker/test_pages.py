"""What the pages of Garmin's HTML sign-in mean, a row for each that is known."""

import json

import pytest

from shared.errors import (
    AccountLockedError,
    CaptchaRequiredError,
    ClientRefusedError,
    CodeLimitReachedError,
    GarminActionRequiredError,
    GarminUnavailableError,
    InvalidCredentialsError,
    MfaCodeInvalidError,
    SignInError,
    SignInExpiredError,
)
from tests.worker.test_answers import HTML, JSON, Reply
from worker.drivers.pages import Page

EMBED, FORM = "https://sso.garmin.com/sso/embed", "https://sso.garmin.com/sso/signin?service=x"
SEND = "https://sso.garmin.com/sso/verifyMFA/mfaCode?clientId="
CODE = "https://sso.garmin.com/sso/verifyMFA/loginEnterMfaCode"


def page(
    method: str, url: str, status: int, title: str = "", retry_after: str = "", body: str = ""
) -> Page:
    headers = HTML | {"retry-after": retry_after}
    text = f"<html><TITLE>\n{title} </TITLE>{body}</html>"
    return Page.of(method, url, Reply(status, text, headers))


def script(**variables: str) -> str:
    return "".join(f'<script>var {name} = "{value}";</script>' for name, value in variables.items())


SIGN_IN, ENTER_CODE = "GARMIN Authentication Application", "Enter MFA code for login"
HIDDEN = '<div id="maxLimit" class="error" hidden="hidden"></div>'
FIELD = '<input id="mfa-code" name="mfa-code"/>'
VERDICTS = [
    (SIGN_IN, script(status="ACCOUNT_LOCKED"), AccountLockedError),
    ("Account Locked", "", AccountLockedError),
    (SIGN_IN, script(status="renewPassword"), GarminActionRequiredError),
    (SIGN_IN, "<script>var status = 'renewPassword';</script>", GarminActionRequiredError),
    (SIGN_IN, script(status="generalLoginAccountDisabled"), GarminActionRequiredError),
    (SIGN_IN, script(status="generalLoginPermanentMFARequired"), GarminActionRequiredError),
    ("Unable To Sign In", "", GarminActionRequiredError),
    ("Update Phone Number", "", GarminActionRequiredError),
    ("Privacy Policy Update", "", GarminActionRequiredError),
    (SIGN_IN, script(status="CAPTCHA_REQUIRED"), CaptchaRequiredError),
    (ENTER_CODE, '<div id="maxLimit" class="error"></div>' + FIELD, CodeLimitReachedError),
]


@pytest.mark.parametrize("url", [FORM, CODE])
@pytest.mark.parametrize("status", [200, 401, 403])
@pytest.mark.parametrize(("title", "body", "error"), VERDICTS)
def test_a_page_says_what_garmin_wants_of_the_person(
    url: str, status: int, title: str, body: str, error: type[SignInError]
) -> None:
    found = page("POST", url, status, title, body=body)
    assert not found.accepted
    assert type(found.error()) is error


@pytest.mark.parametrize(
    ("title", "body", "sent_to"),
    [
        (ENTER_CODE, script(mfaMethod="email", codeSentTo="mt*****@x.y") + FIELD, "mt*****@x.y"),
        (SIGN_IN, script(mfaMethod="email", codeSentTo="a*&#64;x.y") + FIELD, "a*@x.y"),
        (SIGN_IN, script(mfaMethod="sms", codeSentTo="") + FIELD, None),
        (ENTER_CODE, script(mfaMethod="totp", codeSentTo="") + FIELD + HIDDEN, None),
        (ENTER_CODE, "", None),
    ],
)
def test_a_page_for_a_code_says_where_it_went(title: str, body: str, sent_to: str | None) -> None:
    found = page("POST", FORM, 200, title, body=body)
    assert found.accepted
    assert found.mfa_destination("email") == sent_to


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("Choose MFA method", script(customerGuid="x", mfaMethod="", codeSentTo="")),
        ("Choose MFA method", ""),
        (ENTER_CODE, script(mfaMethod="", codeSentTo="") + FIELD),
        (ENTER_CODE, script(mfaMethod="carrier-pigeon", codeSentTo="") + FIELD),
    ],
)
def test_a_page_that_sends_no_code_is_for_the_person(title: str, body: str) -> None:
    found = page("POST", FORM, 200, title, body=body)
    assert not found.accepted
    assert type(found.error()) is GarminActionRequiredError


def test_a_page_about_codes_is_known_by_its_path() -> None:
    reply = Reply(200, "<title>GARMIN Authentication Application</title>", dict(HTML))
    reply.url = "https://sso.garmin.com/sso/verifyMFA/somethingElse?id=x"
    assert type(Page.of("POST", FORM, reply).error()) is GarminActionRequiredError


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('<div id="invalidCode" class="error"></div>' + HIDDEN, MfaCodeInvalidError),
        ('<div id="expiredCode" class="error"></div>' + HIDDEN, SignInExpiredError),
        ('<input type="password" name="password"/>', SignInExpiredError),
    ],
)
def test_the_page_after_a_code_shows_what_is_wrong(body: str, error: type[SignInError]) -> None:
    assert type(page("POST", CODE, 200, SIGN_IN, body=body).error()) is error


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(429, '{"error": "codeEntryMaxLimit"}', dict(JSON)), CodeLimitReachedError),
        (Reply(429, "{}", dict(JSON)), ClientRefusedError),
        (Reply(403, "<title>Just a moment...</title>", dict(HTML)), ClientRefusedError),
        (Reply(503, "{}", dict(JSON)), GarminUnavailableError),
        (Reply(400, "{}", dict(JSON)), GarminUnavailableError),
    ],
)
def test_garmin_may_refuse_to_send_a_code(reply: Reply, error: type[SignInError]) -> None:
    """The password was right: it is not posted again."""
    found = Page.of("POST", SEND, reply)
    assert not found.accepted
    failure = found.error()
    assert type(failure) is error
    assert getattr(failure, "final", True)


@pytest.mark.parametrize("url", [EMBED, FORM])
def test_a_refusal_before_the_password_leaves_other_ways_in(url: str) -> None:
    found = Page.of("GET", url, Reply(429, "{}", dict(JSON))).error()
    assert isinstance(found, ClientRefusedError)
    assert not found.final


@pytest.mark.parametrize(
    ("status", "title", "error"),
    [
        (401, "GARMIN Authentication Application", InvalidCredentialsError),
        (200, "GARMIN Authentication Application", InvalidCredentialsError),
        (200, "Invalid credentials", InvalidCredentialsError),
        (200, "Account Error", InvalidCredentialsError),
        (200, "Account Locked", AccountLockedError),
        (429, "Account Locked", ClientRefusedError),
        (427, "", ClientRefusedError),
        (403, "Access denied", ClientRefusedError),
        (403, "Attention Required! | Cloudflare", ClientRefusedError),
        (503, "Just a moment...", ClientRefusedError),
        (200, "You have been blocked | Cloudflare", ClientRefusedError),
        (502, "502 Bad Gateway", GarminUnavailableError),
        (200, "503 Service Unavailable: invalid upstream", GarminUnavailableError),
        (200, "Something New", GarminUnavailableError),
        (200, "", GarminUnavailableError),
        (200, "Success", GarminUnavailableError),
    ],
)
def test_the_page_after_a_password_is_a_verdict(
    status: int, title: str, error: type[SignInError]
) -> None:
    assert type(page("POST", FORM, status, title).error()) is error


@pytest.mark.parametrize(
    ("url", "status", "error"),
    [
        (EMBED, 403, ClientRefusedError),
        (EMBED, 427, ClientRefusedError),
        (EMBED, 429, ClientRefusedError),
        (EMBED, 404, GarminUnavailableError),
        (EMBED, 503, GarminUnavailableError),
        (FORM, 200, ClientRefusedError),
        (FORM, 403, ClientRefusedError),
    ],
)
def test_a_page_without_a_form_says_nothing_of_the_person(
    url: str, status: int, error: type[SignInError]
) -> None:
    sign_in_title = "GARMIN Authentication Application"
    assert type(page("GET", url, status, sign_in_title).error()) is error


@pytest.mark.parametrize(
    ("status", "title", "error"),
    [
        (200, "Enter MFA code for login", MfaCodeInvalidError),
        (200, "GARMIN Authentication Application", MfaCodeInvalidError),
        (200, "Account Locked", AccountLockedError),
        (200, "Session Expired", SignInExpiredError),
        (200, "Success", GarminUnavailableError),
        (503, "Enter MFA code for login", GarminUnavailableError),
        (200, "Just a moment...", ClientRefusedError),
        (429, "", ClientRefusedError),
    ],
)
def test_the_page_after_a_code_is_a_verdict(
    status: int, title: str, error: type[SignInError]
) -> None:
    assert type(page("POST", CODE, status, title).error()) is error


def test_a_refused_page_says_how_long_to_wait() -> None:
    assert page("POST", FORM, 429, retry_after="77").error().retry_after == 77
    assert page("GET", EMBED, 403, retry_after="77").error().retry_after == 77


def test_a_json_answer_has_no_title() -> None:
    reply = Reply(403, json.dumps({"error": "refused"}), dict(JSON))
    assert type(Page.of("POST", FORM, reply).error()) is ClientRefusedError
