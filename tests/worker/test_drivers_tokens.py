"""Tokens, for every driver: whose they are, and their renewal."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from shared.errors import (
    ClientRefusedError,
    GarminRateLimitedError,
    GarminUnavailableError,
    RefusalScope,
    SignInError,
    TokensRejectedError,
)
from shared.garmin.types import GarminDomain, GarminTokens
from tests.worker.ways import GARTH, MOBILE, Way
from worker.drivers.di import DiTokens

EXCHANGE = "/oauth-service/oauth/exchange/user/2.0"
DI_TOKEN = "/di-oauth2-service/oauth/token"
PROFILE = "/userprofile-service/socialProfile"
REFRESH_PATHS = {GARTH: EXCHANGE, MOBILE: DI_TOKEN}

each_library = pytest.mark.parametrize("way", [GARTH, MOBILE], indirect=True)
only_garth = pytest.mark.parametrize("way", [GARTH], indirect=True)
only_garminconnect = pytest.mark.parametrize("way", [MOBILE], indirect=True)

ANNA = "plain-anna@example.com"


def refused[E: SignInError](way: Way, tokens: GarminTokens, kind: type[E], what: str) -> E:
    """Return the error of `identify` or `refresh`; check that it shows nothing of the tokens."""
    way.secrets |= {s for s in strings(json.loads(tokens.data.get_secret_value())) if len(s) > 20}
    call = way.identify if what == "identify" else way.refresh
    with pytest.raises(kind) as caught:
        call(tokens)
    return way.checked(caught.value, kind)


def strings(value: object) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(strings(part) for part in value.values()))
    return {value} if isinstance(value, str) else set()


def data_of(tokens: GarminTokens) -> dict[str, object]:
    data: dict[str, object] = json.loads(tokens.data.get_secret_value())
    return data


def with_data(tokens: GarminTokens, data: dict[str, object]) -> GarminTokens:
    return tokens.model_copy(update={"data": SecretStr(json.dumps(data))})


@each_library
def test_tokens_identify_their_owner(way: Way) -> None:
    identity = way.identify(way.tokens(ANNA))
    assert (identity.guid, identity.display_name) == (way.guid(ANNA), "Plain Anna")


@each_library
def test_tokens_hold_no_other_secret(way: Way) -> None:
    data = way.tokens(ANNA).data.get_secret_value()
    assert not [s for s in way.secrets if s in data]


@each_library
def test_stored_tokens_still_work(way: Way) -> None:
    tokens = way.tokens(ANNA)
    assert way.who(GarminTokens.from_revealed(tokens.reveal())) == way.guid(ANNA)


@each_library
@pytest.mark.parametrize("times", [1, 2])
def test_a_failed_profile_can_be_read_again(way: Way, times: int) -> None:
    username = f"profile500x{times}-bob@example.com"
    tokens = way.tokens(username)
    for _ in range(times):
        refused(way, tokens, GarminUnavailableError, "identify")
    assert way.who(tokens) == way.guid(username)


@each_library
@pytest.mark.parametrize("kind", ["cut", "cut_body", "garbage", "html"])
def test_a_useless_profile_answer_is_unavailable(way: Way, kind: str) -> None:
    tokens = way.tokens(ANNA)
    way.configure(faults=[{"kind": kind, "path": PROFILE}])
    refused(way, tokens, GarminUnavailableError, "identify")


@each_library
def test_a_profile_without_a_guid_is_unavailable(way: Way) -> None:
    tokens = way.tokens(ANNA)
    way.configure(faults=[{"kind": "without_field", "path": PROFILE, "field": "garminGUID"}])
    refused(way, tokens, GarminUnavailableError, "identify")


@each_library
def test_a_rate_limited_profile_says_how_long(way: Way) -> None:
    tokens = way.tokens(ANNA)
    way.configure({"profile": {"status": 429, "retry_after": 60}})
    assert refused(way, tokens, GarminUnavailableError, "identify").retry_after == 60


@each_library
@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_refused_client_is_no_verdict_on_the_tokens(way: Way, status: int) -> None:
    tokens = way.tokens(ANNA)
    way.configure({"profile": {"status": status, "retry_after": 60}})
    assert refused(way, tokens, GarminUnavailableError, "identify").retry_after == 60


@each_library
@pytest.mark.parametrize("what", ["identify", "refresh"])
def test_a_401_as_a_page_is_no_verdict_on_the_tokens(way: Way, what: str) -> None:
    tokens = way.tokens(ANNA)
    path = PROFILE if what == "identify" else REFRESH_PATHS[way.name]
    way.configure(faults=[{"kind": "status", "status": 401, "path": path}])
    with pytest.raises(SignInError) as caught:
        way.identify(tokens) if what == "identify" else way.refresh(tokens)
    assert not isinstance(caught.value, TokensRejectedError)


@only_garminconnect
@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("body", [{"error": "invalid_client"}, {"error": ["invalid_grant"]}, [], 1])
def test_only_invalid_grant_says_that_a_refresh_token_is_dead(
    way: Way, status: int, body: object
) -> None:
    tokens = way.tokens(ANNA)
    way.configure(faults=[{"kind": "json", "status": status, "body": body, "path": DI_TOKEN}])
    kind = ClientRefusedError if status == 403 else GarminUnavailableError
    refused(way, tokens, kind, "refresh")
    way.configure()
    assert way.refresh(tokens)


@each_library
def test_cloudflares_refusal_of_a_refresh_is_about_the_client(way: Way) -> None:
    tokens = way.tokens("refreshcloudflare-anna@example.com")
    assert refused(way, tokens, ClientRefusedError, "refresh").scope is RefusalScope.CLIENT


@each_library
def test_expired_tokens_are_rejected(way: Way) -> None:
    tokens = way.tokens(ANNA)
    way.garmin.expire_tokens(ANNA)
    refused(way, tokens, TokensRejectedError, "identify")


@only_garminconnect
def test_inactive_tokens_are_rejected(way: Way) -> None:
    tokens = way.tokens("inactive-plain-carl@example.com")
    refused(way, tokens, TokensRejectedError, "identify")


@each_library
def test_refreshed_tokens_are_new_and_belong_to_the_same_person(way: Way) -> None:
    old = way.tokens(ANNA)
    way.garmin.expire_tokens(ANNA)
    way.configure(access_ttl_s=90_000)
    new = way.refresh(old)
    assert (new.driver, new.domain) == (old.driver, old.domain)
    assert way.who(new) == way.guid(ANNA)
    left = new.access_expires_at - datetime.now(UTC)
    assert timedelta(seconds=89_000) < left <= timedelta(seconds=90_001)
    assert new.refresh_expires_at >= old.refresh_expires_at - timedelta(seconds=60)


@only_garth
def test_garth_renews_its_oauth2_token_only(way: Way) -> None:
    old = way.tokens(ANNA)
    new = way.refresh(old)
    assert data_of(new)["oauth1"] == data_of(old)["oauth1"]
    assert data_of(new)["oauth2"] != data_of(old)["oauth2"]
    assert way.who(way.refresh(old)) == way.guid(ANNA)


@only_garth
def test_garth_renews_tokens_obtained_with_a_code(way: Way) -> None:
    username = "email-bob@example.com"
    old = way.finish(way.pending(username), way.garmin.code(username))
    new = way.refresh(old)
    assert way.who(new) == way.guid(username)
    assert new.refresh_expires_at == old.refresh_expires_at


@only_garminconnect
def test_garminconnects_refresh_token_works_once(way: Way) -> None:
    old = way.tokens(ANNA)
    new = way.refresh(old)
    assert data_of(new)["di_refresh_token"] != data_of(old)["di_refresh_token"]
    assert data_of(new)["di_token"] != data_of(old)["di_token"]
    refused(way, old, TokensRejectedError, "refresh")
    assert way.refresh(new)


@only_garminconnect
def test_a_rotating_refresh_token_is_sent_once(way: Way) -> None:
    tokens = way.tokens(ANNA)
    way.configure(faults=[{"kind": "cut", "path": DI_TOKEN, "when": "after"}])
    refused(way, tokens, GarminUnavailableError, "refresh")
    assert way.garmin.count("di_refreshes") == 1
    assert way.garmin.count("faults") == 1


@each_library
def test_revoked_tokens_are_rejected(way: Way) -> None:
    tokens = way.tokens(ANNA)
    way.garmin.revoke_tokens(ANNA)
    refused(way, tokens, TokensRejectedError, "refresh")
    refused(way, tokens, TokensRejectedError, "identify")


@each_library
@pytest.mark.parametrize("status", [500, 503])
def test_a_refresh_answered_5xx_is_unavailable(way: Way, status: int) -> None:
    tokens = way.tokens(ANNA)
    way.configure(faults=[{"kind": "status", "status": status, "path": REFRESH_PATHS[way.name]}])
    refused(way, tokens, GarminUnavailableError, "refresh")


@each_library
@pytest.mark.parametrize("kind", ["cut", "garbage", "html"])
def test_a_refresh_with_a_useless_answer_is_unavailable(way: Way, kind: str) -> None:
    tokens = way.tokens(ANNA)
    way.configure(faults=[{"kind": kind, "path": REFRESH_PATHS[way.name]}])
    refused(way, tokens, GarminUnavailableError, "refresh")


@each_library
def test_a_rate_limited_refresh_is_no_verdict_on_the_tokens(way: Way) -> None:
    tokens = way.tokens(ANNA)
    way.configure({flow: {"status": 429} for flow in ("oauth2", "di")})
    with pytest.raises(GarminRateLimitedError):
        way.refresh(tokens)
    way.configure()
    assert way.refresh(tokens)


@each_library
def test_incomplete_tokens_fail_the_refresh(way: Way) -> None:
    tokens = way.tokens(ANNA)
    path = REFRESH_PATHS[way.name]
    way.configure(faults=[{"kind": "without_field", "path": path, "field": "access_token"}])
    refused(way, tokens, GarminUnavailableError, "refresh")


@only_garth
def test_no_other_persons_token_is_sent(way: Way) -> None:
    """garth's own default for headers is one dict that all clients write into."""
    anna, bob = way.tokens(ANNA), way.tokens("plain-bob@example.com")
    assert way.who(anna) == way.guid(ANNA)
    data = data_of(bob)
    oauth2 = data["oauth2"]
    assert isinstance(oauth2, dict)
    nobody = with_data(bob, data | {"oauth2": oauth2 | {"access_token": "nobody"}})
    refused(way, nobody, TokensRejectedError, "identify")
    assert way.who(anna) == way.guid(ANNA)


@pytest.mark.parametrize("token", ["opaque", "a.b", "a.!!!.c", "a.e30.c", "a.bnVsbA.c"])
def test_a_token_without_an_expiry_lasts_an_hour(token: str) -> None:
    tokens = DiTokens(di_token=token, di_refresh_token="refresh", di_client_id="client")
    left = tokens.packed(GarminDomain.COM).access_expires_at - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
