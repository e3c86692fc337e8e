"""Tokens of other programs are recognised by their structure, and nothing else breaks anything."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.errors import SignInError
from shared.garmin.access import access_token
from shared.garmin.imports import (
    RenewalOverError,
    TokensNotRenewableError,
    TokensUnreadableError,
    WrongDomainError,
)
from shared.garmin.types import GarminDomain, GarminTokens
from tests.jwts import jwt
from tests.worker.token_files import (
    ACCESS,
    DI,
    GARTH_NG,
    OAUTH1,
    OAUTH2,
    di_forms,
    garth_dump,
    garth_forms,
)
from worker.drivers import di, oauth
from worker.drivers.stored import read
from worker.drivers.token_forms import read_tokens


def read_any(text: str, domain: GarminDomain | None = None) -> GarminTokens:
    return read_tokens(text, domain)


def refused(text: str, domain: GarminDomain | None = None) -> SignInError:
    with pytest.raises(SignInError) as caught:
        read_tokens(text, domain)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("form", garth_forms())
def test_garths_tokens_are_read_in_every_form(form: str) -> None:
    tokens = read_any(garth_forms()[form])
    assert (tokens.driver, tokens.domain) == ("garth", GarminDomain.COM)
    oauth1 = oauth.stored_oauth1(tokens)
    assert (oauth1.oauth_token, oauth1.oauth_token_secret) == ("oauth1-token", "oauth1-secret")
    assert access_token(tokens) == SecretStr(ACCESS)
    assert tokens.access_expires_at == datetime.fromtimestamp(3_999_999_999, UTC)
    assert timedelta(days=364) < tokens.refresh_expires_at - datetime.now(UTC)


@pytest.mark.parametrize("form", di_forms())
def test_garminconnects_tokens_are_read_in_every_form(form: str) -> None:
    tokens = read_any(di_forms()[form])
    assert (tokens.driver, tokens.domain) == ("garminconnect", GarminDomain.COM)
    assert read(di.DiTokens, tokens).model_dump() == DI
    assert tokens.access_expires_at == datetime.fromtimestamp(4_000_000_000, UTC)


def test_garth_ngs_tokens_are_read_as_di_tokens() -> None:
    tokens = read_any(json.dumps(GARTH_NG))
    assert tokens.driver == "garminconnect"
    assert read(di.DiTokens, tokens).model_dump() == DI


def test_unknown_fields_do_not_matter() -> None:
    more = garth_dump({**OAUTH1, "new": {"deep": [1]}}, {**OAUTH2, "new": True})
    assert oauth.stored_oauth1(read_any(more)).oauth_token == "oauth1-token"


def test_the_client_id_is_taken_from_the_token_where_it_is_missing() -> None:
    tokens = read_any(json.dumps({**DI, "di_client_id": None}))
    assert read(di.DiTokens, tokens).di_client_id == "named-by-jwt"


@pytest.mark.parametrize(
    ("text", "form", "missing"),
    [
        (json.dumps({**DI, "di_token": ""}), "garminconnect", "di_token"),
        (json.dumps({**DI, "di_token": "a b", "di_client_id": 1}), "garminconnect", "di_token"),
        (
            json.dumps({"di_token": "opaque", "di_refresh_token": "r"}),
            "garminconnect",
            "di_client_id",
        ),
        (json.dumps({**DI, "di_refresh_token": 5}), "garminconnect", "di_refresh_token"),
        (json.dumps(OAUTH1), "garth", "oauth2_token.json"),
        (garth_dump(OAUTH1, {"refresh_token": "r"}), "garth", "access_token"),
        (garth_dump({"oauth_token": "t"}), "garth", "oauth_token_secret"),
        (garth_dump({**OAUTH1, "oauth_token": "a\nb"}), "garth", "oauth_token"),
        (json.dumps([DI, {**DI, "di_token": "other"}]), "garminconnect", "more than one"),
        (json.dumps([DI, OAUTH1]), "garminconnect", "more than one"),
    ],
)
def test_the_nearest_form_and_what_it_lacks_are_named(text: str, form: str, missing: str) -> None:
    error = refused(text)
    assert type(error) is TokensUnreadableError
    assert form in error.message
    assert missing in error.message


@pytest.mark.parametrize(
    "text", ["", "null", "hello", "5", "[]", '{"a": "b"}', "bnVsbA==", "[" * 9]
)
def test_anything_else_names_the_forms_that_are_known(text: str) -> None:
    error = refused(text)
    assert type(error) is TokensUnreadableError
    assert all(name in error.message for name in ("garth's dump", "garmin_tokens.json"))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"di_token": "t", "di_client_id": "c"}),
        json.dumps({**DI, "di_refresh_token": None}),
        json.dumps({**DI, "di_refresh_token": ""}),
        garth_dump(None),
        garth_dump({}),
        garth_dump({**OAUTH1, "oauth_token": "kept-by-fittrack-auth"}),  # written by our client
        json.dumps({"access_token": "t", "client_id": "c"}),
        json.dumps(OAUTH2),
    ],
)
def test_tokens_without_a_refresh_token_are_not_renewable(text: str) -> None:
    assert type(refused(text)) is TokensNotRenewableError


def test_garth_tokens_past_their_end_are_not_renewable() -> None:
    past = {**OAUTH1, "mfa_expiration_timestamp": "2024-01-01T00:00:00"}
    assert type(refused(garth_dump(past))) is RenewalOverError


def test_the_end_that_garth_tokens_name_is_believed_up_to_a_year() -> None:
    for named, days in ((30, 30), (5000, 365)):
        ends_at = (datetime.now(UTC) + timedelta(days=named)).replace(tzinfo=None)
        tokens = read_any(garth_dump({**OAUTH1, "mfa_expiration_timestamp": ends_at.isoformat()}))
        left = tokens.refresh_expires_at - datetime.now(UTC)
        assert timedelta(days=days - 1) < left <= timedelta(days=days)


def test_an_access_token_that_does_not_say_when_it_ends_counts_as_over() -> None:
    tokens = read_any(garth_dump(OAUTH1, {"access_token": "opaque", "expires_at": "tomorrow"}))
    assert tokens.access_expires_at <= datetime.now(UTC)


CN = GarminDomain.CN
CN_TOKEN = jwt(exp=4_000_000_000, iss="https://diauth.garmin.cn")


@pytest.mark.parametrize(
    ("text", "named", "domain"),
    [
        (garth_dump({**OAUTH1, "domain": None}, {"access_token": "opaque"}), CN, CN),
        (garth_dump({**OAUTH1, "domain": "garmin.cn"}, {"access_token": "opaque"}), None, CN),
        (json.dumps({**DI, "di_token": CN_TOKEN}), None, CN),
        (json.dumps({**DI, "di_token": CN_TOKEN}), CN, CN),
        (json.dumps({**DI, "di_token": "opaque"}), None, GarminDomain.COM),
    ],
)
def test_the_domain_is_the_one_that_is_named(
    text: str, named: GarminDomain | None, domain: GarminDomain
) -> None:
    assert read_any(text, named).domain is domain


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (garth_dump(), CN),
        (json.dumps(DI), CN),
        (json.dumps({**DI, "di_token": CN_TOKEN}), GarminDomain.COM),
        (garth_dump({**OAUTH1, "domain": "garmin.cn"}), None),
        (garth_dump({**OAUTH1, "domain": "attacker.example"}, {"access_token": "t"}), None),
    ],
)
def test_tokens_of_another_domain_go_nowhere(text: str, named: GarminDomain | None) -> None:
    assert type(refused(text, named)) is WrongDomainError


NAMES = st.sampled_from(
    [*OAUTH1, *OAUTH2, *DI, "client_id", "oauth1", "oauth2", "garmin_tokens", "x"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        [
            ACCESS,
            "token",
            "a\r\nX: y",
            "\ud800",
            "",
            "garmin.com",
            "garmin.cn",
            "9999-12-31T23:59:59-14:00",
            "0001-01-01T00:00:00+14:00",
            10**400,
            garth_dump(),
            jwt(exp=1e300, iss="https://[", client_id=["x"]),
            jwt(exp=None, iss="https://x.garmin.cn:x"),
        ]
    )
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=15
)
ALTERED = st.builds(
    lambda oauth1, oauth2, di: json.dumps([oauth1, oauth2, di]),
    st.fixed_dictionaries({}, optional=dict.fromkeys(OAUTH1, SCALARS)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(OAUTH2, SCALARS)),
    st.none() | st.fixed_dictionaries({}, optional=dict.fromkeys(DI, SCALARS)),
)


def _dumped(value: Any) -> str:  # noqa: ANN401
    try:
        return json.dumps(value)
    except ValueError:  # a number that Python does not write out
        return "1" * 5000


@given(
    st.text()
    | VALUES.map(_dumped)
    | VALUES.map(lambda value: json.dumps(_dumped(value)))
    | st.binary().map(lambda raw: raw.decode("latin-1"))
    | ALTERED,
    st.sampled_from([None, *GarminDomain]),
)
@example("[" * 100_000, None)
@example('{"a":' * 20_000 + '{"di_token": "t"}' + "}" * 20_000, None)
@example('[{"di_token": ' + "[" * 900 + "]" * 900 + "}]", None)
@example("1" * 100_000, None)
def test_no_input_raises_anything_but_our_errors(text: str, domain: GarminDomain | None) -> None:
    ours = (TokensUnreadableError, TokensNotRenewableError, WrongDomainError)
    with suppress(*ours):
        tokens = read_tokens(text, domain)
        assert access_token(tokens).get_secret_value()
        if tokens.driver == "garth":
            assert oauth.stored_oauth1(tokens).oauth_token
        else:
            assert read(di.DiTokens, tokens).di_refresh_token
