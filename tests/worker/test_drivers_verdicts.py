"""Every answer that is known, for every driver: what it means, and that it ends the sign-in."""

import pytest

from shared import errors
from shared.errors import RefusalScope
from tests.worker.ways import GARTH, MOBILE, WIDGET, Way

VERDICTS: list[tuple[str, type[errors.SignInError]]] = [
    ("locked", errors.AccountLockedError),
    ("lockedmessage", errors.AccountLockedError),
    ("captcha", errors.CaptchaRequiredError),
    ("needcaptcha", errors.CaptchaRequiredError),
    ("captchaxml", errors.CaptchaRequiredError),
    ("disabled", errors.GarminActionRequiredError),
    ("mfasetup", errors.GarminActionRequiredError),
    ("renewpassword", errors.GarminActionRequiredError),
    ("child", errors.GarminActionRequiredError),
    ("phonenumber", errors.GarminActionRequiredError),
    ("consent", errors.GarminActionRequiredError),
]
"""After a password as after a code."""

CODE_VERDICTS: list[tuple[str, type[errors.SignInError]]] = [
    ("exhausted", errors.MfaAttemptsExhaustedError),
    ("expired", errors.SignInExpiredError),
    ("sessionexpired", errors.SignInExpiredError),
    ("409", errors.SignInExpiredError),
    ("401", errors.MfaCodeInvalidError),
]
REFUSALS = [
    ("limited", RefusalScope.ACCOUNT, True),
    ("limitedbody", RefusalScope.ACCOUNT, True),
    ("http427", RefusalScope.ACCOUNT, True),
    ("cloudflare", RefusalScope.CLIENT, False),
    ("cfattention", RefusalScope.CLIENT, False),
    ("cfdenied", RefusalScope.CLIENT, False),
    ("cf1015", RefusalScope.CLIENT, False),
    ("cf1020", RefusalScope.CLIENT, False),
]
json_flows = pytest.mark.parametrize("way", [GARTH, MOBILE], indirect=True)
only_widget = pytest.mark.parametrize("way", [WIDGET], indirect=True)


@pytest.mark.parametrize(("word", "error"), VERDICTS)
def test_a_verdict_after_a_password_ends_the_sign_in(
    way: Way, word: str, error: type[errors.SignInError]
) -> None:
    username = f"{word}-anna@example.com"
    way.refused_sign_in(username, error)
    assert way.posts(username) == 1


@pytest.mark.parametrize(("word", "error"), VERDICTS + CODE_VERDICTS)
def test_a_verdict_after_a_code_is_the_only_one(
    way: Way, word: str, error: type[errors.SignInError]
) -> None:
    username = f"code{word}-bob@example.com"
    pending = way.pending(username)
    way.refused_code(pending, way.garmin.code(username), error)
    assert way.code_checks(username) == way.posts(username) == 1


@pytest.mark.parametrize(("word", "scope", "final"), REFUSALS)
def test_a_refusal_after_a_password_says_whom_it_is_about(
    way: Way, word: str, scope: RefusalScope, final: bool
) -> None:
    username = f"{word}-carl@example.com"
    error = way.refused_sign_in(username, errors.ClientRefusedError)
    assert (error.scope, error.final) == (scope, final)
    assert way.posts(username) == 1 or not final


@pytest.mark.parametrize(("word", "scope", "final"), REFUSALS)
def test_a_refusal_after_a_code_says_whom_it_is_about(
    way: Way, word: str, scope: RefusalScope, final: bool
) -> None:
    username = f"code{word}-carl@example.com"
    pending = way.pending(username)
    error = way.refused_code(pending, way.garmin.code(username), errors.ClientRefusedError)
    assert (error.scope, error.final) == (scope, final)


@json_flows
def test_status_427_in_json_ends_the_sign_in(way: Way) -> None:
    error = way.refused_sign_in("mfa427-carl@example.com", errors.ClientRefusedError)
    assert error.final
    assert way.posts("mfa427-carl@example.com") == 1


def test_a_code_is_needed_though_garmin_does_not_say_how_it_was_sent(way: Way) -> None:
    username = "nomfainfo-dora@example.com"
    pending = way.pending(username)
    assert pending.mfa_type == "email"
    assert way.who(way.finish(pending, way.garmin.code(username))) == way.guid(username)
    assert way.posts(username) == way.code_checks(username) == 1
    assert way.garmin.count("codes_sent", username) == 1


@only_widget
def test_a_way_to_send_a_code_is_chosen_at_garmin(way: Way) -> None:
    username = "choosemethod-emil@example.com"
    way.refused_sign_in(username, errors.GarminActionRequiredError)
    assert way.posts(username) == 1
    assert way.garmin.count("codes_sent", username) == 0


def test_garmin_may_send_no_new_code_for_a_day(way: Way) -> None:
    username = "nocodes-fay@example.com"
    error = way.refused_sign_in(username, errors.CodeLimitReachedError)
    assert error.retry_after == 24 * 3600
    assert way.posts(username) == 1


def test_the_last_code_still_works_when_garmin_sends_no_new_one(way: Way) -> None:
    username = "codelimit-fay@example.com"
    pending = way.pending(username)
    error = way.refused_code(pending, "000000x", errors.CodeLimitReachedError)
    assert error.retry_after == 24 * 3600
    assert way.who(way.finish(pending, way.garmin.code(username))) == way.guid(username)


@only_widget
@pytest.mark.parametrize("title", ["Enter MFA code for login", "GARMIN Authentication Application"])
def test_the_widget_says_where_the_code_went(way: Way, title: str) -> None:
    way.configure(widget_mfa_title=title)
    assert way.pending("email-gus@example.com").mfa_destination == "em*****@example.com"
    assert (way.pending("sms-gus@example.com").mfa_destination or "").startswith("*********")
    assert way.pending("app-gus@example.com").mfa_destination is None


@only_widget
def test_a_refused_request_for_a_code_does_not_post_the_password_again(way: Way) -> None:
    refusal = {"status": 429, "at": ["code"], "retry_after": 90}
    way.configure({"widget": refusal}, widget_sends_code=False)
    error = way.refused_sign_in("email-hugo@example.com", errors.ClientRefusedError)
    assert (error.final, error.retry_after) == (True, 90)
    assert way.posts("email-hugo@example.com") == 1
