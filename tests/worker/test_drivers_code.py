"""The code, for every driver: checked in another process, sent once, and asked for again."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dev.short import SHORT
from shared.errors import (
    ClientRefusedError,
    GarminUnavailableError,
    GarminUnreachableError,
    MfaCodeInvalidError,
    SignInExpiredError,
)
from tests.worker.ways import GARTH, MOBILE, WIDGET, OtherProcess, Way, next_state

CODE_PATHS = {
    GARTH: "/mobile/api/mfa/verifyCode",
    MOBILE: "/*/api/mfa/verifyCode",
    WIDGET: "/sso/verifyMFA/loginEnterMfaCode",
}
json_flows = pytest.mark.parametrize("way", [GARTH, MOBILE], indirect=True)
only_widget = pytest.mark.parametrize("way", [WIDGET], indirect=True)


@pytest.mark.parametrize("method", ["email", "sms", "app"])
def test_another_process_finishes_the_sign_in(
    way: Way, method: str, other_process: OtherProcess
) -> None:
    username = f"{method}-bob@example.com"
    pending = way.pending(username)
    tokens = other_process.finish(pending, way.garmin.code(username))
    assert tokens.driver == way.driver_name
    assert way.who(tokens) == way.guid(username)
    assert way.posts(username) == way.code_checks(username) == 1


def test_a_wrong_code_keeps_the_sign_in_open(way: Way, other_process: OtherProcess) -> None:
    username = "email-carl@example.com"
    pending = way.pending(username)
    error = way.refused_code(pending, "000000x", MfaCodeInvalidError)
    assert way.code_checks(username) == 1
    tokens = other_process.finish(next_state(pending, error), way.garmin.code(username))
    assert way.who(tokens) == way.guid(username)
    assert way.code_checks(username) == 2


def test_the_state_before_a_wrong_code_still_works(way: Way) -> None:
    """A worker can die between the wrong code and the new state."""
    username = "email-carl@example.com"
    pending = way.pending(username)
    way.refused_code(pending, "000000x", MfaCodeInvalidError)
    assert way.finish(pending, way.garmin.code(username))


def test_each_wrong_code_is_sent_once(way: Way) -> None:
    username = "email-dora@example.com"
    pending = way.pending(username)
    for number in range(1, 4):
        error = way.refused_code(pending, f"00000{number}x", MfaCodeInvalidError)
        pending = next_state(pending, error)
        assert way.code_checks(username) == number
    assert way.finish(pending, way.garmin.code(username))


def test_a_wrong_code_keeps_the_shape_of_the_state(way: Way) -> None:
    pending = way.pending("email-dora@example.com")
    error = way.refused_code(pending, "000000x", MfaCodeInvalidError)
    before = json.loads(pending.state.get_secret_value())
    after = json.loads(next_state(pending, error).state.get_secret_value())
    assert before.keys() == after.keys()
    assert {c["name"] for c in before["cookies"]} <= {c["name"] for c in after["cookies"]}


@json_flows
@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize("kind", ["MFA_CODE_INVALID", "INVALID_MFA_CODE", "SOMETHING_NEW"])
def test_any_rejection_is_a_wrong_code(way: Way, status: int, kind: str) -> None:
    way.configure(wrong_code={"status": status, "type": kind, "message": "codeEntryInvalid"})
    pending = way.pending("wrongcode-emil@example.com")
    way.refused_code(pending, "000000x", MfaCodeInvalidError)
    assert way.code_checks("wrongcode-emil@example.com") == 1


def test_a_forgotten_sign_in_is_expired(way: Way) -> None:
    username = "email-gus@example.com"
    pending = way.pending(username)
    code = way.garmin.code(username)
    assert way.garmin.expire_sessions(username) == 1
    way.refused_code(pending, code, SignInExpiredError)


def test_an_expired_code_ends_the_sign_in(way: Way) -> None:
    username = "email-gus@example.com"
    pending = way.pending(username)
    assert way.garmin.expire_codes(username) == 1
    way.refused_code(pending, way.garmin.code(username), SignInExpiredError)


@pytest.mark.parametrize("word", ["codelimited", "codelimitedbody", "codecloudflare"])
def test_a_refused_client_is_no_verdict_on_the_code(way: Way, word: str) -> None:
    username = f"{word}-hugo@example.com"
    error = way.refused_code(way.pending(username), "000000x", ClientRefusedError)
    assert error.retry_after is None


def test_a_refusal_says_how_long(way: Way) -> None:
    username = "codelimited-after-hugo@example.com"
    error = way.refused_code(way.pending(username), "000000x", ClientRefusedError)
    assert error.retry_after == 120


@pytest.mark.parametrize("word", ["codedown", "codegarbage", "codecut-before"])
def test_no_answer_is_no_verdict(way: Way, word: str) -> None:
    username = f"{word}-ida@example.com"
    way.refused_code(way.pending(username), "000000x", GarminUnavailableError)


def test_a_right_code_whose_answer_is_lost_is_not_called_wrong(way: Way) -> None:
    username = "codecut-after-ida@example.com"
    pending = way.pending(username)
    way.refused_code(pending, way.garmin.code(username), GarminUnavailableError)
    assert way.code_checks(username) == 1


@json_flows
@pytest.mark.parametrize("kind", ["status", "garbage"])
def test_a_right_code_with_a_useless_answer_is_not_sent_again(way: Way, kind: str) -> None:
    """It is used up: Garmin would call it wrong."""
    username = "email-ida@example.com"
    pending = way.pending(username)
    path = "/mobile/api/mfa/verifyCode"
    way.configure(faults=[{"kind": kind, "path": path, "when": "after"}])
    way.refused_code(pending, way.garmin.code(username), GarminUnavailableError)
    assert way.code_checks(username) == 1


def test_a_cut_connection_is_no_verdict(way: Way) -> None:
    username = "email-jan@example.com"
    pending = way.pending(username)
    way.adapter.close()  # the pool: a new connection is needed
    way.configure(faults=[{"kind": "cut_connect"}])
    way.refused_code(pending, way.garmin.code(username), GarminUnreachableError)
    assert way.code_checks(username) == 0


@json_flows
def test_a_cut_answer_is_no_verdict(way: Way) -> None:
    username = "email-jan@example.com"
    pending = way.pending(username)
    way.configure(faults=[{"kind": "cut_body", "path": CODE_PATHS[way.name]}])
    way.refused_code(pending, way.garmin.code(username), GarminUnavailableError)
    assert way.code_checks(username) == 1


def test_a_hanging_connection_is_given_up(way: Way) -> None:
    username = "email-jan@example.com"
    pending = way.pending(username)
    way.adapter.close()
    way.adapter.timings = replace(SHORT, garmin_connect=0.2, garmin_answer=1.0)
    way.configure(faults=[{"kind": "hang_connect"}])
    way.refused_code(pending, way.garmin.code(username), GarminUnreachableError)
    assert way.code_checks(username) == 0


def test_a_code_works_after_a_failure_of_garmin(way: Way) -> None:
    username = "email-kim@example.com"
    pending = way.pending(username)
    way.configure(
        faults=[{"kind": "status", "path": CODE_PATHS[way.name], "status": 503, "times": 2}]
    )
    way.refused_code(pending, way.garmin.code(username), GarminUnavailableError)
    way.configure()
    assert way.who(way.finish(pending, way.garmin.code(username))) == way.guid(username)


def test_tokens_after_a_code_say_how_long_they_last(way: Way) -> None:
    username = "email-lou@example.com"
    tokens = way.finish(way.pending(username), way.garmin.code(username))
    left = tokens.refresh_expires_at - datetime.now(UTC)
    days = 365 if way.driver_name == "garth" else 30
    assert timedelta(days=days - 2) < left <= timedelta(days=days, seconds=1)
    assert datetime.now(UTC) < tokens.access_expires_at < tokens.refresh_expires_at


def test_two_sign_ins_of_one_person_do_not_disturb_each_other(way: Way) -> None:
    username = "app-max@example.com"
    first, code = way.pending(username), way.garmin.code(username)
    second, newer = way.pending(username), way.garmin.code(username)
    assert way.who(way.finish(second, newer)) == way.guid(username)
    assert way.who(way.finish(first, code)) == way.guid(username)


@only_widget
@pytest.mark.parametrize("title", ["Enter MFA code for login", "GARMIN Authentication Application"])
def test_the_widgets_code_page_has_two_titles(way: Way, title: str) -> None:
    way.configure(widget_mfa_title=title)
    username = "email-nia@example.com"
    pending = way.pending(username)
    error = way.refused_code(pending, "000000x", MfaCodeInvalidError)
    assert way.finish(next_state(pending, error), way.garmin.code(username))
    assert way.code_checks(username) == 2


@only_widget
def test_the_widget_requests_a_code_that_was_not_sent(way: Way) -> None:
    way.configure(widget_sends_code=False)
    username = "sms-olga@example.com"
    pending = way.pending(username)
    assert way.garmin.count("codes_sent", username) == 1
    assert way.finish(pending, way.garmin.code(username))
