"""What the pages of Garmin's HTML sign-in mean, a row for each that is known."""

import json

import pytest

from shared.errors import (
    AccountLockedError,
    ClientRefusedError,
    GarminUnavailableError,
    InvalidCredentialsError,
    MfaCodeInvalidError,
    SignInError,
    SignInExpiredError,
)
from tests.worker.test_answers import HTML, JSON, Reply
from worker.drivers.pages import Page

EMBED, FORM = "https://sso.garmin.com/sso/embed", "https://sso.garmin.com/sso/signin?service=x"
CODE = "https://sso.garmin.com/sso/verifyMFA/loginEnterMfaCode"


def page(method: str, url: str, status: int, title: str = "", retry_after: str = "") -> Page:
    headers = HTML | {"retry-after": retry_after}
    return Page.of(method, url, Reply(status, f"<html><TITLE>\n{title} </TITLE></html>", headers))


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
    assert type(page("POST", FORM, status, title).sign_in_error()) is error


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
    assert type(page("GET", url, status, sign_in_title).sign_in_error()) is error


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
    assert type(page("POST", CODE, status, title).code_error()) is error


def test_a_refused_page_says_how_long_to_wait() -> None:
    assert page("POST", FORM, 429, retry_after="77").sign_in_error().retry_after == 77
    assert page("GET", EMBED, 403, retry_after="77").sign_in_error().retry_after == 77


def test_a_json_answer_has_no_title() -> None:
    reply = Reply(403, json.dumps({"error": "refused"}), dict(JSON))
    assert type(Page.of("POST", FORM, reply).sign_in_error()) is ClientRefusedError
