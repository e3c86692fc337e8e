"""The password, for every driver: what Garmin may answer, and how often it is sent."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dev.short import SHORT
from shared.errors import (
    AccountLockedError,
    CaptchaRequiredError,
    ClientRefusedError,
    GarminUnavailableError,
    GarminUnreachableError,
    InvalidCredentialsError,
    RefusalScope,
    SignInError,
)
from shared.garmin.types import CodeRequired, GarminDomain, SignedIn
from tests.logs import captured_logs, parsed
from tests.worker.ways import ALWAYS, GARTH, MOBILE, WIDGET, Way, driver

EXCHANGE = "/oauth-service/oauth/exchange/user/2.0"
PREAUTHORIZED = "/oauth-service/oauth/preauthorized"
DI_TOKEN = "/di-oauth2-service/oauth/token"
TOKEN_PATHS = {GARTH: EXCHANGE, MOBILE: DI_TOKEN, WIDGET: DI_TOKEN}

only_garth = pytest.mark.parametrize("way", [GARTH], indirect=True)
json_flows = pytest.mark.parametrize("way", [GARTH, MOBILE], indirect=True)
garminconnects = pytest.mark.parametrize("way", [MOBILE, WIDGET], indirect=True)
only_mobile = pytest.mark.parametrize("way", [MOBILE], indirect=True)


def test_a_password_alone_signs_in(way: Way) -> None:
    tokens = way.tokens("plain-anna@example.com")
    assert (tokens.driver, tokens.domain) == (way.driver_name, GarminDomain.COM)
    assert way.who(tokens) == way.guid("plain-anna@example.com")
    assert way.posts("plain-anna@example.com") == 1
    assert way.garmin.count("tickets_redeemed") == 1


def test_tokens_say_how_long_they_last(way: Way) -> None:
    way.configure(access_ttl_s=70_000)
    tokens = way.tokens("plain-anna@example.com")
    access = tokens.access_expires_at - datetime.now(UTC)
    assert timedelta(seconds=69_000) < access <= timedelta(seconds=70_001)
    refresh = tokens.refresh_expires_at - datetime.now(UTC)
    days = 365 if way.driver_name == "garth" else 30
    assert timedelta(days=days - 1) < refresh <= timedelta(days=days, seconds=1)


@pytest.mark.parametrize(
    ("method", "kind", "destination"),
    [
        ("email", "email", "em*****@example.com"),
        ("sms", "sms", "*********"),
        ("app", "app", None),
    ],
)
def test_garmin_asks_for_a_code(way: Way, method: str, kind: str, destination: str | None) -> None:
    username = f"{method}-bob@example.com"
    pending = way.pending(username)
    assert (pending.driver, pending.domain, pending.mfa_type) == (
        way.driver_name,
        "garmin.com",
        kind,
    )
    assert (pending.mfa_destination or "").startswith(destination or "")
    assert (pending.mfa_destination is None) is (destination is None)
    assert way.posts(username) == 1
    assert way.garmin.count("tickets_issued") == 0


def test_an_unfinished_sign_in_is_small_and_holds_no_password(way: Way) -> None:
    pending = way.pending("email-bob@example.com")
    state = pending.state.get_secret_value()
    assert len(state) < 6000
    assert not [s for s in way.secrets if s in state]
    assert state not in repr(pending)


def test_a_wrong_password_is_sent_once(way: Way) -> None:
    way.refused_sign_in("wrongpassword-carl@example.com", InvalidCredentialsError)
    assert way.posts("wrongpassword-carl@example.com") == 1


def test_a_wrong_password_may_hold_any_character(way: Way) -> None:
    username, password = "plain-carl@example.com", "another \u00e4 password & more="
    with pytest.raises(InvalidCredentialsError) as caught:
        way.sign_in(username, password)
    way.checked(caught.value, InvalidCredentialsError)
    assert way.posts(username) == 1


@json_flows
@pytest.mark.parametrize("status", [200, 401, 403])
def test_a_lock_may_come_with_any_status(way: Way, status: int) -> None:
    way.configure(locked_status=status)
    way.refused_sign_in("locked-dora@example.com", AccountLockedError)
    assert way.posts("locked-dora@example.com") == 1


@json_flows
@pytest.mark.parametrize("status", [200, 401, 403])
def test_a_captcha_ends_the_sign_in(way: Way, status: int) -> None:
    way.configure(captcha_status=status)
    way.refused_sign_in("captcha-emil@example.com", CaptchaRequiredError)
    assert way.posts("captcha-emil@example.com") == 1


@pytest.mark.parametrize(
    "word", ["limited", "limitedbody", "http427", "cloudflare"], ids=lambda word: str(word)
)
def test_a_refused_client_is_no_verdict_on_the_person(way: Way, word: str) -> None:
    error = way.refused_sign_in(f"{word}-fay@example.com", ClientRefusedError)
    assert error.retry_after is None
    assert way.garmin.count("credentials_checked") == 0


@json_flows
def test_a_refusal_says_how_long(way: Way) -> None:
    error = way.refused_sign_in("limited-after-fay@example.com", ClientRefusedError)
    assert error.retry_after == 120


@json_flows
@pytest.mark.parametrize("word", ["limited", "limitedbody", "http427", "mfa427"])
def test_a_refusal_by_garmin_itself_ends_the_sign_in(way: Way, word: str) -> None:
    username = f"{word}-gus@example.com"
    error = way.refused_sign_in(username, ClientRefusedError)
    assert (error.scope, error.final) == (RefusalScope.ACCOUNT, True)
    assert way.posts(username) == 1


@only_mobile
def test_a_refused_flow_is_followed_by_the_next(way: Way) -> None:
    way.configure({"GCM_IOS_DARK": {"status": 403, "retry_after": 60}})
    tokens = way.tokens("plain-anna@example.com")
    assert way.who(tokens) == way.guid("plain-anna@example.com")
    assert way.garmin.count("credentials_checked") == 1
    assert way.posts("plain-anna@example.com") == 2  # one by each way in


@only_mobile
def test_each_way_in_posts_the_password_once(way: Way) -> None:
    refusal = {"status": 403}
    way.configure({"GCM_IOS_DARK": refusal, "widget": refusal})
    error = way.refused_sign_in("plain-anna@example.com", ClientRefusedError)
    assert (error.scope, error.final) == (RefusalScope.CLIENT, False)
    assert way.posts("plain-anna@example.com") == 2
    mobile = way.garmin.counters()["by_client"]["GCM_IOS_DARK"]
    assert mobile["sign_in_pages"] == 1  # none in vain


@only_mobile
@pytest.mark.parametrize("status", [429, 427, 403])
def test_the_client_is_refused_when_every_flow_is(way: Way, status: int) -> None:
    refusal = {"status": status, "retry_after": 60}
    way.configure({"GCM_IOS_DARK": refusal, "widget": refusal})
    error = way.refused_sign_in("plain-anna@example.com", ClientRefusedError)
    assert error.retry_after == 60


@pytest.mark.parametrize("status", [429, 427, 403])
def test_a_refused_page_is_a_refused_client(way: Way, status: int) -> None:
    refusal = {"status": status, "at": ["page"]}
    way.configure(dict.fromkeys(("GCM_ANDROID_DARK", "GCM_IOS_DARK", "widget"), refusal))
    way.refused_sign_in("plain-anna@example.com", ClientRefusedError)
    assert way.garmin.count("credential_posts") == 0


@pytest.mark.parametrize(
    ("word", "posts"), [("down", 1), ("garbage", 1), ("cut-before", 0), ("cut-after", 1)]
)
def test_a_password_with_a_useless_answer_is_not_sent_again(
    way: Way, word: str, posts: int
) -> None:
    username = f"{word}-hugo@example.com"
    way.refused_sign_in(username, GarminUnavailableError)
    assert way.posts(username) == posts


def test_a_hanging_answer_is_given_up(way: Way) -> None:
    way.adapter.timings = replace(SHORT, garmin_answer=1.0)
    way.refused_sign_in("hang-hugo@example.com", GarminUnreachableError)
    assert way.posts("hang-hugo@example.com") == 1


@pytest.mark.parametrize("field", ["access_token", "refresh_token"])
def test_incomplete_tokens_fail_the_sign_in(way: Way, field: str) -> None:
    path = TOKEN_PATHS[way.name]
    way.configure(faults=[{"kind": "without_field", "path": path, "field": field}])
    way.refused_sign_in("plain-ida@example.com", GarminUnavailableError)
    assert way.posts("plain-ida@example.com") == 1


@pytest.mark.parametrize("kind", ["garbage", "html", "cut", "status"])
def test_a_failed_token_exchange_fails_the_sign_in(way: Way, kind: str) -> None:
    way.configure(faults=[{"kind": kind, "path": TOKEN_PATHS[way.name]}])
    way.refused_sign_in("plain-ida@example.com", GarminUnavailableError)
    assert way.posts("plain-ida@example.com") == 1


@only_garth
@pytest.mark.parametrize("field", ["oauth_token", "oauth_token_secret"])
def test_an_incomplete_oauth1_token_fails_the_sign_in(way: Way, field: str) -> None:
    way.configure(faults=[{"kind": "without_field", "path": PREAUTHORIZED, "field": field}])
    way.refused_sign_in("plain-ida@example.com", GarminUnavailableError)


@only_garth
@pytest.mark.parametrize(("kind", "status"), [("cut", 503), ("status", 503), ("status", 500)])
def test_an_exchange_that_failed_once_is_repeated(way: Way, kind: str, status: int) -> None:
    way.configure(faults=[{"kind": kind, "status": status, "path": EXCHANGE, "times": 1}])
    tokens = way.tokens("plain-ida@example.com")
    assert way.who(tokens) == way.guid("plain-ida@example.com")
    assert way.garmin.count("oauth1_exchanges") == 1


@only_garth
@pytest.mark.parametrize("kind", ["cut", "status", "garbage"])
def test_a_ticket_is_redeemed_once(way: Way, kind: str) -> None:
    way.configure(faults=[{"kind": kind, "path": PREAUTHORIZED, "when": "after"}])
    way.refused_sign_in("plain-jan@example.com", GarminUnavailableError)
    assert way.garmin.count("oauth1_exchanges") == 1
    assert way.posts("plain-jan@example.com") == 1


def test_an_unreachable_garmin_is_no_fault_of_garmins(way: Way) -> None:
    way.configure(faults=[{"kind": "cut_connect", "host": "*.garmin.com"}])
    way.refused_sign_in("plain-anna@example.com", GarminUnreachableError)


def test_garmin_cn_has_its_own_accounts(way: Way) -> None:
    username = "plain-anna@example.com"
    tokens = way.tokens(username, GarminDomain.CN)
    assert tokens.domain == GarminDomain.CN
    assert way.who(tokens) == way.guid(username, "garmin.cn") != way.guid(username)


@json_flows
def test_a_code_of_garmin_cn_finishes_there(way: Way) -> None:
    username = "email-anna@example.com"
    result = way.sign_in(username, domain=GarminDomain.CN)
    assert isinstance(result, CodeRequired)
    tokens = way.finish(result.pending, way.garmin.code(username))
    assert tokens.domain == GarminDomain.CN
    assert way.who(tokens) == way.guid(username, "garmin.cn")


def test_simultaneous_sign_ins_do_not_mix_people(way: Way) -> None:
    one = driver(way.driver_name, way.adapter)  # a worker has one for all its threads

    def sign_in(number: int) -> tuple[str, str]:
        username = f"{'email' if number % 2 else 'plain'}-{number}@example.com"
        result = way.sign_in(username)
        if isinstance(result, CodeRequired):
            result = one.finish(result.pending, way.garmin.code(username), ALWAYS)
        assert isinstance(result, SignedIn)
        refreshed = one.refresh(result.tokens, ALWAYS)
        return one.identify(refreshed, ALWAYS).guid, way.guid(username)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(sign_in, range(32)))
    assert [actual for actual, _ in answers] == [expected for _, expected in answers]


def test_both_libraries_at_once_do_not_mix_people(way: Way) -> None:
    both = [driver(GARTH, way.adapter), driver(MOBILE, way.adapter)]

    def sign_in(number: int) -> tuple[str, str]:
        username = f"plain-{number}@example.com"
        here = Way((GARTH, MOBILE)[number % 2], way.garmin, way.adapter)
        tokens = here.tokens(username)
        return both[number % 2].identify(tokens, ALWAYS).guid, way.guid(username)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(sign_in, range(32)))
    assert [actual for actual, _ in answers] == [expected for _, expected in answers]


def test_no_log_line_holds_a_secret(way: Way) -> None:
    username = "email-kim@example.com"
    code = "424242"
    with captured_logs("DEBUG") as log:
        pending = way.pending(username)
        with pytest.raises(SignInError):
            way.finish(pending, code)
        tokens = way.finish(pending, way.garmin.code(username))
        way.refresh(tokens)
        way.refused_sign_in("wrongpassword-kim@example.com", InvalidCredentialsError)
    cookies = [part for part in pending.state.get_secret_value().split('"') if len(part) > 30]
    secrets = {code, *way.secrets, *cookies}
    secrets |= {part for part in tokens.data.get_secret_value().split('"') if len(part) > 20}
    libraries = {line["logger"].partition(".")[0] for line in parsed(log.getvalue())}
    assert libraries >= ({"garminconnect"} if way.driver_name == MOBILE else {"urllib3"})
    assert [secret for secret in secrets if secret in log.getvalue()] == []
