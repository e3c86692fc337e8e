"""What Garmin's answers mean, a row for each that is known."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import errors
from worker.drivers.answers import Answer

ACCOUNT, CLIENT = errors.RefusalScope.ACCOUNT, errors.RefusalScope.CLIENT
JSON = {"content-type": "application/json"}
XML = {"content-type": "application/xml"}
HTML = {"content-type": "text/html;charset=UTF-8"}
PAGE = "<!DOCTYPE html><title>Just a moment...</title>"


@dataclass
class Reply:
    """An HTTP response, as far as `Answer` looks at it."""

    status_code: int
    text: str
    headers: dict[str, Any] = field(default_factory=lambda: dict(JSON))
    url: str = ""


def verdict(status: int, kind: str, message: str = "") -> Reply:
    return Reply(status, json.dumps({"responseStatus": {"type": kind, "message": message}}))


def refused(status: int, inner: object) -> Reply:
    return Reply(status, json.dumps({"error": {"status-code": inner}}))


REFUSALS = [
    Reply(429, "{}"),
    Reply(429, "Too Many Requests", {}),
    Reply(427, "{}"),
    refused(200, "429"),
    refused(200, "427"),
    refused(200, 429),
    refused(429, "429"),
    Reply(403, PAGE, HTML),
    Reply(403, "", {}),
    Reply(403, "{}"),
    Reply(200, PAGE, HTML),
    Reply(200, PAGE, {}),
]
NOTHING = [
    Reply(500, PAGE, HTML),
    Reply(503, "{}"),
    verdict(503, "INVALID_USERNAME_PASSWORD"),
    verdict(500, "ACCOUNT_LOCKED"),
    verdict(502, "MFA_CODE_INVALID", "codeEntryInvalid"),
    Reply(200, ""),
    Reply(200, "garbage"),
    Reply(200, "[]"),
    Reply(200, "null"),
    Reply(200, '{"error": ' + "[" * 200_000),
    Reply(200, "{}"),
    Reply(200, '{"responseStatus": "SUCCESSFUL"}'),
    Reply(200, '{"responseStatus": {"type": 7}}'),
    Reply(200, '{"responseStatus": null}'),
    Reply(200, '{"error": "429"}'),
    Reply(404, "{}"),
    refused(200, "500"),
]


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_refused_client_is_no_verdict_on_the_person(reply: Reply) -> None:
    answer = Answer.of(reply)
    assert type(answer.refusal()) is errors.ClientRefusedError
    assert type(answer.sign_in_error()) is errors.ClientRefusedError
    assert type(answer.code_error()) is errors.ClientRefusedError


@pytest.mark.parametrize("reply", [Reply(401, "  \n<html>", {}), Reply(200, "<p>", HTML)])
def test_a_page_instead_of_json_is_a_refused_client(reply: Reply) -> None:
    answer = Answer.of(reply)
    assert type(answer.sign_in_error()) is errors.ClientRefusedError
    assert type(answer.code_error()) is errors.ClientRefusedError


@pytest.mark.parametrize(
    ("reply", "scope", "final"),
    [
        (Reply(429, "{}"), ACCOUNT, True),
        (Reply(427, "{}"), ACCOUNT, True),
        (refused(200, "429"), ACCOUNT, True),
        (refused(200, "427"), ACCOUNT, True),
        (Reply(429, "Too Many Requests", {}), ACCOUNT, False),
        (Reply(429, "<title>Too Many Requests</title>", HTML), ACCOUNT, False),
        (Reply(403, "{}"), ACCOUNT, False),
        (Reply(403, "<title>Forbidden</title>", HTML), CLIENT, False),
        (Reply(403, "<title>Attention Required! | Cloudflare</title>", HTML), CLIENT, False),
        (Reply(403, "<title>Access denied | x used Cloudflare</title>", HTML), CLIENT, False),
        (Reply(403, "error code: 1020", {}), CLIENT, False),
        (Reply(429, "error code: 1015", {}), CLIENT, False),
        (Reply(429, '{"cloudflare_error": true, "error_code": 1015}'), CLIENT, False),
        (Reply(403, "{}", JSON | {"cf-mitigated": "challenge"}), CLIENT, False),
        (Reply(503, PAGE, HTML), CLIENT, False),
    ],
)
def test_a_refusal_says_whom_it_is_about(reply: Reply, scope: str, final: bool) -> None:
    for error in (Answer.of(reply).sign_in_error(), Answer.of(reply).code_error()):
        assert isinstance(error, errors.ClientRefusedError)
        assert (error.scope, error.final) == (scope, final)


@pytest.mark.parametrize("reply", NOTHING)
def test_a_useless_answer_is_no_verdict(reply: Reply) -> None:
    answer = Answer.of(reply)
    assert answer.refusal() is None
    assert type(answer.sign_in_error()) is errors.GarminUnavailableError
    assert type(answer.code_error()) is errors.GarminUnavailableError
    assert not answer.has_verdict


@pytest.mark.parametrize("status", [200, 400, 401, 403, 423])
@pytest.mark.parametrize(
    ("kind", "message", "error"),
    [
        ("INVALID_USERNAME_PASSWORD", "", errors.InvalidCredentialsError),
        ("FAILED", "generalLoginInvalidUsernameOrPassword", errors.InvalidCredentialsError),
        ("ACCOUNT_LOCKED", "", errors.AccountLockedError),
        ("FAILED", "generalLoginAccountLocked", errors.AccountLockedError),
        ("CAPTCHA_REQUIRED", "", errors.CaptchaRequiredError),
        ("NEED_CAPTCHA", "", errors.CaptchaRequiredError),
        ("FAILED", "InvalidReCaptchaException", errors.CaptchaRequiredError),
        ("FAILED", "generalLoginAccountDisabled", errors.GarminActionRequiredError),
        ("FAILED", "generalLoginPermanentMFARequired", errors.GarminActionRequiredError),
        ("RENEW_PASSWORD", "", errors.GarminActionRequiredError),
        ("FAILED", "codeEntryMaxLimit", errors.CodeLimitReachedError),
        ("FAILED", "youHaveBeenBlocked", errors.GarminUnavailableError),
        ("SOMETHING_NEW", "", errors.GarminUnavailableError),
    ],
)
def test_a_verdict_on_a_password(
    status: int, kind: str, message: str, error: type[errors.SignInError]
) -> None:
    answer = Answer.of(verdict(status, kind, message))
    assert answer.has_verdict
    assert answer.refusal() is None
    assert type(answer.sign_in_error()) is error


@pytest.mark.parametrize("status", [200, 400, 401, 403, 423])
@pytest.mark.parametrize(
    ("kind", "message", "error"),
    [
        ("MFA_CODE_INVALID", "codeEntryInvalid", errors.MfaCodeInvalidError),
        ("SOMETHING_NEW", "", errors.MfaCodeInvalidError),
        ("ACCOUNT_LOCKED", "generalLoginAccountLocked", errors.AccountLockedError),
        ("FAILED", "generalLoginAccountLocked", errors.AccountLockedError),
        ("FAILED", "codeEntryMaxLimit", errors.CodeLimitReachedError),
        ("FAILED", "generalLoginAccountDisabled", errors.GarminActionRequiredError),
        ("RECONSENT_REQUIRED", "", errors.GarminActionRequiredError),
        ("CAPTCHA_REQUIRED", "", errors.CaptchaRequiredError),
        ("TOO_MANY_ATTEMPTS", "", errors.MfaAttemptsExhaustedError),
        ("FAILED", "codeEntryExpired", errors.SignInExpiredError),
        ("SESSION_EXPIRED", "", errors.SignInExpiredError),
    ],
)
def test_a_verdict_on_a_code(
    status: int, kind: str, message: str, error: type[errors.SignInError]
) -> None:
    assert type(Answer.of(verdict(status, kind, message)).code_error()) is error


@pytest.mark.parametrize("headers", [XML, HTML, JSON, {}])
def test_a_captcha_may_be_required_in_xml(headers: dict[str, Any]) -> None:
    xml = "<?xml version='1.0'?><error><type>com.x.InvalidReCaptchaException</type></error>"
    answer = Answer.of(Reply(400, xml, headers))
    assert type(answer.sign_in_error()) is errors.CaptchaRequiredError
    assert type(answer.code_error()) is errors.CaptchaRequiredError


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(401, "{}"), errors.MfaCodeInvalidError),
        (Reply(401, ""), errors.MfaCodeInvalidError),
        (Reply(401, '{"error": "unauthorized"}'), errors.MfaCodeInvalidError),
        (Reply(409, "{}"), errors.SignInExpiredError),
        (Reply(409, ""), errors.SignInExpiredError),
        (verdict(409, "SESSION_EXPIRED"), errors.SignInExpiredError),
        (verdict(409, "INVALID_MFA_CODE"), errors.MfaCodeInvalidError),
    ],
)
def test_a_code_may_be_judged_by_the_status_alone(
    reply: Reply, error: type[errors.SignInError]
) -> None:
    assert type(Answer.of(reply).code_error()) is error
    assert type(Answer.of(reply).sign_in_error()) is errors.GarminUnavailableError


@pytest.mark.parametrize(
    ("consents", "error"),
    [
        (["PRIVACY"], errors.GarminActionRequiredError),
        ([], errors.GarminUnavailableError),
        (None, errors.GarminUnavailableError),
    ],
)
def test_a_success_without_a_ticket_may_want_consent(
    consents: object, error: type[errors.SignInError]
) -> None:
    body = {
        "responseStatus": {"type": "SUCCESSFUL"},
        "serviceTicketId": None,
        "consentTypeList": consents,
    }
    answer = Answer.of(Reply(200, json.dumps(body)))
    assert not answer.accepted
    assert type(answer.sign_in_error()) is error
    assert type(answer.code_error()) is error


def test_the_limit_of_codes_lasts_a_day() -> None:
    error = Answer.of(verdict(401, "FAILED", "codeEntryMaxLimit")).code_error()
    assert error.retry_after == 24 * 3600
    assert error.code is errors.JobErrorCode.GARMIN_RATE_LIMITED


@pytest.mark.parametrize(
    "reply", [Reply(429, "{}"), Reply(503, "{}"), Reply(403, PAGE)], ids=["429", "503", "403"]
)
def test_retry_after_is_kept(reply: Reply) -> None:
    reply.headers["retry-after"] = "77"
    answer = Answer.of(reply)
    assert answer.sign_in_error().retry_after == 77
    assert answer.code_error().retry_after == 77


def test_an_answer_does_not_show_its_body() -> None:
    answer = Answer.of(Reply(200, json.dumps({"serviceTicketId": "ST-012345-abc-sso"})))
    assert "ST-" not in repr(answer)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["responseStatus", "type", "error", "status-code", "customerMfaInfo"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(st.integers(100, 599), JSONS)
@settings(deadline=None)
def test_every_json_is_judged(status: int, body: object) -> None:
    answer = Answer.of(Reply(status, json.dumps(body)))
    assert isinstance(answer.sign_in_error(), errors.SignInError)
    assert isinstance(answer.code_error(), errors.SignInError)
    assert answer.mfa_destination("email") is None
