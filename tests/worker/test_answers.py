"""What Garmin's answers mean, a row for each that is known."""

import json
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import errors
from shared.garmin.types import GarminIdentity
from worker.drivers.answers import Answer, identity, mfa_type, parse_retry_after

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html;charset=UTF-8"}
PAGE = "<!DOCTYPE html><title>Just a moment...</title>"


@dataclass
class Reply:
    """An HTTP response, as far as `Answer` looks at it."""

    status_code: int
    text: str
    headers: dict[str, Any] = field(default_factory=lambda: dict(JSON))


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
    Reply(401, "  \n<html>", {}),
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


@pytest.mark.parametrize("reply", NOTHING)
def test_a_useless_answer_is_no_verdict(reply: Reply) -> None:
    answer = Answer.of(reply)
    assert answer.refusal() is None
    assert type(answer.sign_in_error()) is errors.GarminUnavailableError
    assert type(answer.code_error()) is errors.GarminUnavailableError
    assert not answer.has_verdict


@pytest.mark.parametrize("status", [200, 400, 401, 403, 423])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("INVALID_USERNAME_PASSWORD", errors.InvalidCredentialsError),
        ("ACCOUNT_LOCKED", errors.AccountLockedError),
        ("CAPTCHA_REQUIRED", errors.CaptchaRequiredError),
        ("NEED_CAPTCHA", errors.CaptchaRequiredError),
        ("SOMETHING_NEW", errors.GarminUnavailableError),
    ],
)
def test_a_verdict_on_a_password(status: int, kind: str, error: type[errors.SignInError]) -> None:
    answer = Answer.of(verdict(status, kind))
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
        ("FAILED", "codeEntryMaxLimit", errors.MfaAttemptsExhaustedError),
        ("TOO_MANY_ATTEMPTS", "", errors.MfaAttemptsExhaustedError),
        ("FAILED", "codeEntryExpired", errors.SignInExpiredError),
        ("SESSION_EXPIRED", "", errors.SignInExpiredError),
    ],
)
def test_a_verdict_on_a_code(
    status: int, kind: str, message: str, error: type[errors.SignInError]
) -> None:
    assert type(Answer.of(verdict(status, kind, message)).code_error()) is error


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


# Codes


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("email", "email"),
        ("EMAIL", "email"),
        ("sms", "sms"),
        ("phone", "sms"),
        ("phoneNumber", "sms"),
        ("totp", "app"),
        ("AUTHENTICATOR_APP", "app"),
        ("carrier-pigeon", "carrier-pigeon"),
        ("", "email"),
        (None, "email"),
        (7, "email"),
    ],
)
def test_mfa_methods_are_translated(method: object, kind: str) -> None:
    assert mfa_type(method) == kind


@pytest.mark.parametrize(
    ("kind", "info", "destination"),
    [
        ("email", {"email": "a*@b.c", "phoneNumber": "*1"}, "a*@b.c"),
        ("sms", {"email": "a*@b.c", "phoneNumber": "*1"}, "*1"),
        ("app", {"email": "a*@b.c", "phoneNumber": "*1"}, None),
        ("sms", {"email": "a*@b.c", "phoneNumber": None}, None),
        ("email", {"email": ""}, None),
        ("email", {"email": ["x"]}, None),
        ("email", None, None),
        ("email", "text", None),
    ],
)
def test_the_masked_destination_of_a_code_is_read(
    kind: str, info: object, destination: str | None
) -> None:
    answer = Answer.of(Reply(200, json.dumps({"customerMfaInfo": info})))
    assert answer.mfa_destination(kind) == destination


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("1", 1),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("\u00b2", None),
        (None, None),
        (120, None),
        (b"120", None),
    ],
)
def test_retry_after_in_seconds(value: object, seconds: int | None) -> None:
    assert parse_retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    found = parse_retry_after(formatdate(time.time() + 3600, usegmt=True))
    assert found is not None
    assert 3500 < found <= 3600


def test_a_past_retry_after_is_a_second() -> None:
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 1


@given(st.text() | st.from_regex(r"[0-9]{1,5000}", fullmatch=True))
@settings(deadline=None)
def test_any_retry_after_can_be_parsed(value: str) -> None:
    found = parse_retry_after(value)
    assert found is None or found > 0


@pytest.mark.parametrize(
    "value",
    ["9" * 5000, "Mon, 01 Jan 0001 00:00:00 -0000", "Fri, 31 Dec 9999 23:59:59 -2359", "1 2 3 4"],
)
def test_an_absurd_retry_after_can_be_parsed(value: str) -> None:
    found = parse_retry_after(value)
    assert found is None or found > 0


# Who it is

GUID = "f1e2d3c4-0000-4000-8000-0123456789ab"
NO_NAME = "9f8e7d6c-1111-4111-9111-abcdefabcdef"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"displayName": "anna", "fullName": "Anna B.", "userName": "a@b.c"}, "anna"),
        ({"displayName": NO_NAME, "fullName": "Anna B.", "userName": "a@b.c"}, "Anna B."),
        ({"displayName": NO_NAME, "fullName": None, "userName": "a@b.c"}, "a@b.c"),
        ({"displayName": NO_NAME, "fullName": "", "userName": None}, NO_NAME),
        ({"displayName": ["x"], "fullName": 7}, GUID),
        ({}, GUID),
        ({"displayName": "n" * 300}, "n" * 256),
        ({"displayName": "a\x00b"}, "ab"),
        ({"displayName": "\x00", "fullName": "Anna"}, "Anna"),
        ({"displayName": "a\ud800b"}, "ab"),
    ],
)
def test_the_display_name_is_a_readable_one(names: dict[str, object], expected: str) -> None:
    found = identity({"garminGUID": GUID} | names)
    assert found == GarminIdentity(guid=GUID, display_name=expected)


@pytest.mark.parametrize(
    "profile",
    [
        None,
        [],
        "text",
        {},
        {"garminGUID": None},
        {"garminGUID": ""},
        {"garminGUID": 7},
        {"garminGUID": "g" * 65},
        {"garminGUID": "g\x00"},
        {"garminGUID": "g\ud800"},
    ],
)
def test_a_profile_needs_a_usable_guid(profile: object) -> None:
    with pytest.raises(errors.GarminUnavailableError):
        identity(profile)
