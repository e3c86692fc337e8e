"""From a ticket to tokens: what is left to do where Garmin refuses a ticket that it has issued."""

import pytest

from shared.errors import (
    DriverFailedError,
    GarminUnavailableError,
    SignInAgainError,
    SignInError,
    TicketRefusedError,
)
from shared.garmin.types import SignedIn
from tests.worker.test_consumer import CONSUMER, HOST, STALE, MemoryStore
from tests.worker.ways import ALWAYS, GARTH, MOBILE, WIDGET, Way, driver
from worker.drivers.garth import GarthDriver

EXCHANGE = "/oauth-service/oauth/exchange/user/2.0"
PREAUTHORIZED = "/oauth-service/oauth/preauthorized"
DI_TOKEN = "/di-oauth2-service/oauth/token"

only_garth = pytest.mark.parametrize("way", [GARTH], indirect=True)
garminconnects = pytest.mark.parametrize("way", [MOBILE, WIDGET], indirect=True)
refusals = pytest.mark.parametrize("status", [400, 401, 403, 427, 429])


def who(way: Way, signed_in: SignedIn) -> str:
    """Return whose tokens these are, according to the driver that they belong to."""
    tokens = signed_in.tokens
    return driver(tokens.driver, way.adapter).identify(tokens, ALWAYS).guid


def finished(way: Way, username: str) -> SignedIn:
    pending = way.pending(username)
    return way.driver.finish(pending, way.garmin.code(username), ALWAYS)


def refused_right_code[E: SignInError](way: Way, username: str, kind: type[E]) -> E:
    pending = way.pending(username)
    return way.refused_code(pending, way.garmin.code(username), kind)


@only_garth
@refusals
def test_a_refused_ticket_is_redeemed_at_di(way: Way, status: int) -> None:
    way.configure({"oauth1": {"status": status}})
    signed_in = way.sign_in("plain-anna@example.com")
    assert isinstance(signed_in, SignedIn)
    assert signed_in.tokens.driver == "garminconnect"
    assert who(way, signed_in) == way.guid("plain-anna@example.com")
    assert way.posts("plain-anna@example.com") == 1


@only_garth
@refusals
def test_a_ticket_refused_after_a_right_code_is_redeemed_at_di(way: Way, status: int) -> None:
    username = "email-anna@example.com"
    way.configure({"oauth1": {"status": status}})
    signed_in = finished(way, username)
    assert signed_in.tokens.driver == "garminconnect"
    assert who(way, signed_in) == way.guid(username)
    assert way.code_checks(username) == 1
    renewed = driver("garminconnect", way.adapter).refresh(signed_in.tokens, ALWAYS)
    assert who(way, SignedIn(tokens=renewed)) == way.guid(username)


@only_garth
def test_a_ticket_whose_exchange_got_no_answer_is_tried_at_di(way: Way) -> None:
    way.configure(faults=[{"kind": "cut", "path": PREAUTHORIZED}])
    signed_in = finished(way, "email-anna@example.com")
    assert who(way, signed_in) == way.guid("email-anna@example.com")


@only_garth
def test_another_client_id_may_redeem_the_ticket(way: Way) -> None:
    way.configure(
        {"oauth1": {"status": 401}, "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2": {"status": 400}}
    )
    signed_in = way.sign_in("plain-anna@example.com")
    assert isinstance(signed_in, SignedIn)
    assert who(way, signed_in) == way.guid("plain-anna@example.com")


@only_garth
@pytest.mark.parametrize("di", [400, 403, 429, 503])
def test_a_ticket_that_di_refuses_as_well_is_a_refusal(way: Way, di: int) -> None:
    way.configure({"oauth1": {"status": 429, "retry_after": 60}, "di": {"status": di}})
    error = way.refused_sign_in("plain-jan@example.com", TicketRefusedError)
    assert error.retry_after == 60
    assert way.posts("plain-jan@example.com") == 1


@only_garth
def test_di_is_not_asked_where_its_driver_is_not_in_use(way: Way) -> None:
    garth = GarthDriver(way.adapter, redeem_at_di=False)
    way.configure({"oauth1": {"status": 401}})
    pending = way.pending("email-anna@example.com")
    with pytest.raises(TicketRefusedError):
        garth.finish(pending, way.garmin.code("email-anna@example.com"), ALWAYS)
    assert way.garmin.count("di_exchanges") == 0


@garminconnects
def test_a_ticket_that_di_refuses_is_a_refusal(way: Way) -> None:
    way.refused_sign_in("direfused-plain-jan@example.com", TicketRefusedError)
    assert way.posts("direfused-plain-jan@example.com") == 1


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_ticket_that_all_refuse_after_a_right_code_is_a_refusal(way: Way, status: int) -> None:
    way.configure({"oauth1": {"status": status}, "di": {"status": status}})
    refused_right_code(way, "email-jan@example.com", TicketRefusedError)


@pytest.mark.parametrize("kind", ["cut", "status", "html"])
def test_without_tokens_after_a_right_code_the_person_signs_in_again(way: Way, kind: str) -> None:
    """The code is used up: the challenge can't be completed, by whatever code."""
    paths = (PREAUTHORIZED, DI_TOKEN)
    way.configure(faults=[{"kind": kind, "path": path} for path in paths])
    refused_right_code(way, "email-jan@example.com", SignInAgainError)


@only_garth
@pytest.mark.parametrize("status", [403, 429])
def test_an_exchange_that_is_refused_for_a_moment_is_repeated(way: Way, status: int) -> None:
    way.configure({"oauth2": {"status": status, "times": 2}})
    tokens = way.tokens("plain-anna@example.com")
    assert tokens.driver == "garth"
    assert way.who(tokens) == way.guid("plain-anna@example.com")
    assert way.garmin.count("oauth1_exchanges") == 1


@only_garth
@pytest.mark.parametrize("status", [401, 403, 429])
def test_an_exchange_that_stays_refused_is_a_refusal(way: Way, status: int) -> None:
    """The ticket is spent: DI can't have it, another driver may sign in."""
    way.configure({"oauth2": {"status": status}})
    way.refused_sign_in("plain-jan@example.com", TicketRefusedError)
    refused_right_code(way, "email-jan@example.com", TicketRefusedError)
    assert way.garmin.count("di_exchanges") == 0


@only_garth
def test_an_exchange_is_not_waited_for_longer_than_the_job_has_time(way: Way) -> None:
    way.configure({"oauth2": {"status": 429, "retry_after": 600}})
    error = way.refused_sign_in("plain-jan@example.com", TicketRefusedError)
    assert error.retry_after == 600
    assert way.garmin.count("refused") == 1


@only_garth
def test_no_password_is_sent_without_the_oauth_consumer(way: Way) -> None:
    way.configure(faults=[{"kind": "status", "status": 403, "host": HOST}])
    way.refused_sign_in("plain-anna@example.com", DriverFailedError)
    assert way.posts("plain-anna@example.com") == 0


@only_garth
def test_the_consumer_is_there_before_the_password_is_sent(way: Way) -> None:
    way.configure(faults=[{"kind": "status", "status": 503, "path": "/mobile/api/login"}])
    way.refused_sign_in("plain-anna@example.com", GarminUnavailableError)
    assert way.garmin.count("requests") == 3  # the consumer, the page, the password


@only_garth
def test_without_the_consumer_a_code_still_completes_the_sign_in(way: Way) -> None:
    username = "email-anna@example.com"
    pending = way.pending(username)
    way.configure(faults=[{"kind": "status", "status": 403, "host": HOST}])
    signed_in = way.driver.finish(pending, way.garmin.code(username), ALWAYS)
    assert who(way, signed_in) == way.guid(username)


@only_garth
def test_without_the_consumer_and_di_no_code_is_used_up(way: Way) -> None:
    username = "email-anna@example.com"
    pending = way.pending(username)
    way.configure(faults=[{"kind": "status", "status": 403, "host": HOST}])
    garth = GarthDriver(way.adapter, redeem_at_di=False)
    with pytest.raises(DriverFailedError):
        garth.finish(pending, way.garmin.code(username), ALWAYS)
    assert way.code_checks(username) == 0


@only_garth
@pytest.mark.parametrize("refreshes", [False, True])
def test_a_consumer_that_garmin_no_longer_knows_is_fetched_again(way: Way, refreshes: bool) -> None:
    tokens = way.tokens("plain-anna@example.com")
    store = MemoryStore(STALE.reveal())
    garth = GarthDriver(way.adapter, store)
    if refreshes:
        fresh = garth.refresh(tokens, ALWAYS)
    else:
        pending = way.pending("email-anna@example.com")
        fresh = garth.finish(pending, way.garmin.code("email-anna@example.com"), ALWAYS).tokens
    assert fresh.driver == "garth"
    assert store.kept == CONSUMER.reveal()
