"""Stored tokens of any shape: drivers raise our errors only."""

import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from shared.errors import SignInError
from shared.garmin.types import GarminDomain, GarminTokens
from tests.worker.ways import ALWAYS, GARTH, MOBILE, Way
from worker.drivers.di import AccessToken
from worker.drivers.stored import claimed_identity, claims, expiry, is_token

each_library = pytest.mark.parametrize("way", [GARTH, MOBILE], indirect=True)

NAMES = (
    "oauth1",
    "oauth2",
    "oauth_token",
    "oauth_token_secret",
    "mfa_token",
    "mfa_expiration_timestamp",
    "domain",
    "access_token",
    "expires_at",
    "di_token",
    "di_refresh_token",
    "di_client_id",
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["token", "a\r\nX: y", "ä", "\ud800", "", "9999-12-31T23:59:59+14:00"])
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner),
    max_leaves=12,
)
garth_like = st.fixed_dictionaries(
    {
        "oauth1": st.fixed_dictionaries(
            {"oauth_token": scalars, "oauth_token_secret": scalars},
            optional={"mfa_token": scalars, "mfa_expiration_timestamp": scalars},
        ),
        "oauth2": st.fixed_dictionaries({"access_token": scalars}),
    }
)
garminconnect_like = st.fixed_dictionaries(
    {"di_token": scalars, "di_refresh_token": scalars, "di_client_id": scalars}
)
stored = (json_values | garth_like | garminconnect_like).map(json.dumps) | st.text()


@each_library
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=stored)
def test_any_stored_shape_raises_our_errors_only(way: Way, data: str) -> None:
    now = datetime.now(UTC)
    tokens = GarminTokens(
        driver=way.driver_name,
        domain=GarminDomain.COM,
        data=SecretStr(data),
        access_expires_at=now,
        refresh_expires_at=now,
    )
    driver = way.driver
    for call in (driver.identify, driver.refresh):
        with pytest.raises(SignInError):
            call(tokens, ALWAYS)
    with suppress(SignInError):
        driver.claimed_identity(tokens)


@each_library
def test_a_deep_nesting_raises_our_errors_only(way: Way) -> None:
    tokens = way.tokens("plain-anna@example.com")
    deep = tokens.model_copy(update={"data": SecretStr("[" * 100_000)})
    for call in (way.driver.identify, way.driver.refresh):
        with pytest.raises(SignInError):
            call(deep, ALWAYS)


@given(token=st.text() | st.binary().map(lambda raw: f"a.{raw.hex()}.c"))
def test_any_access_token_can_be_read(token: str) -> None:
    assert isinstance(claims(token), dict)
    expiry(token)
    claimed_identity(token)


def jwt(payload: Any) -> str:  # noqa: ANN401 - any JSON
    return f"a.{urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.c"


@given(payload=json_values | st.fixed_dictionaries({"exp": scalars, "garmin_guid": scalars}))
def test_any_claims_can_be_read(payload: Any) -> None:  # noqa: ANN401 - any JSON
    token = jwt(payload)
    expiry(token)
    assert claimed_identity(token) is None


@each_library
def test_an_access_token_says_whose_it_is(way: Way) -> None:
    tokens = way.tokens("plain-anna@example.com")
    claimed = way.driver.claimed_identity(tokens)
    assert claimed is not None
    assert (claimed.guid, claimed.display_name) == (way.guid("plain-anna@example.com"), None)


@pytest.mark.parametrize("text", ["x", "!~" * 8192])
def test_a_token_is_a_text_that_can_stand_in_a_header(text: str) -> None:
    assert is_token(text)
    assert AccessToken(di_token=text).di_token == text


@pytest.mark.parametrize("text", ["", "x" * 16_385, "x y", "x\n", "\x7f", "ü"])
def test_a_text_that_cannot_stand_in_a_header_is_no_token(text: str) -> None:
    assert not is_token(text)
    with pytest.raises(ValidationError):
        AccessToken(di_token=text)
