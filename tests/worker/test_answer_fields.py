"""What single fields of Garmin's answers mean."""

import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import errors
from tests.worker.test_answers import Reply
from worker.drivers.answers import Answer, identity, mfa_type, parse_retry_after

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


@pytest.mark.parametrize(
    ("info", "method"),
    [
        (None, "email"),
        ({}, "email"),
        ({"mfaLastMethodUsed": "sms", "defaultMfaMethod": "email"}, "sms"),
        ({"mfaLastMethodUsed": None, "defaultMfaMethod": "totp"}, "totp"),
        ({"mfaLastMethodUsed": 7, "email": None, "phoneNumber": "*1"}, "sms"),
        ({"mfaLastMethodUsed": None, "email": "a*@b.c", "phoneNumber": "*1"}, "email"),
    ],
)
def test_the_method_of_a_code_is_known_where_garmin_does_not_say(info: object, method: str) -> None:
    answer = Answer.of(Reply(200, json.dumps({"customerMfaInfo": info})))
    assert answer.mfa_method() == method


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
    [
        "9" * 5000,
        "Mon, 01 Jan 0001 00:00:00 -0000",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Dec 9999999999999999 23:59:59 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
        "1 2 3 4",
    ],
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
    assert (found.guid, found.display_name) == (GUID, expected)


def test_the_name_in_the_addresses_of_garmins_api_is_kept_as_it_is() -> None:
    assert identity({"garminGUID": GUID, "displayName": GUID}).garmin_display_name == GUID
    assert identity({"garminGUID": GUID, "displayName": "a\0b"}).garmin_display_name == "ab"
    for missing in (None, "", 7):
        assert identity({"garminGUID": GUID, "displayName": missing}).garmin_display_name is None


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
