"""Access tokens of connections by Personal API key: for reading, at an address of their own."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import SecretStr

from shared.accounts.refreshes import RefreshLog
from shared.accounts.states import Method
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from tests.api.problems import assert_problem
from tests.api.service import Service
from tests.api.token_app import DAY, App, tokens

CONNECTION = "/api/users/member-1/garmin"


def exchanged(access_token: str) -> GarminTokens:
    expires_at = datetime.now(UTC) + DAY
    data = {"personal_api_key": "the key", "access_token": access_token}
    return GarminTokens(
        driver="personal_api",
        domain=GarminDomain.COM,
        data=SecretStr(json.dumps(data)),
        access_expires_at=expires_at,
        refresh_expires_at=expires_at + 300 * DAY,
    )


@pytest.fixture
def app(service: Service) -> App:
    return App(service)


def connect_by_key(app: App) -> None:
    identity = GarminIdentity(guid=app.guid, display_name=None, garmin_display_name="anna7")
    app.service.accounts.store(
        identity,
        exchanged("from the key"),
        uuid4(),
        SecretStr(uuid4().hex),
        app.origin,
        method=Method.PERSONAL_API_KEY,
    )


def test_a_token_says_that_it_reads_and_where(app: App) -> None:
    connect_by_key(app)
    body = app.ask().json()
    assert body["access_token"] == "from the key"
    assert body["api_base"] == "https://personal.connectapi.garmin.com"
    assert (body["access"], body["method"]) == ("read", "personal_api_key")
    assert body["user"]["garmin_display_name"] == "anna7"


def test_an_app_gets_what_it_connected_last_and_is_told_which(app: App) -> None:
    for by_key in (False, True, False):
        if by_key:
            connect_by_key(app)
        else:
            app.sign_in(tokens("from the password"))
        expected = ("read", "personal_api_key") if by_key else ("read_write", "password")
        view = app.service.client.get(CONNECTION, headers=app.headers).json()
        body = app.ask().json()
        assert (view["garmin"]["access"], view["garmin"]["method"]) == expected
        assert (body["access"], body["method"]) == expected
        assert body["access_token"] == f"from the {'key' if by_key else 'password'}"


def test_a_revoked_key_says_so(app: App) -> None:
    connect_by_key(app)
    row, keyring = app.row, app.service.keyring
    app.service.database.run(lambda s: RefreshLog(s, keyring).reject(row.id, row.generation))
    problem = assert_problem(app.ask(), 409, "sign_in_required")
    assert problem["reason"] == "key_revoked"
