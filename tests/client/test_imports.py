"""Imports, with both clients against a scripted service."""

import json

import pytest

from fittrack_auth_client import (
    FitTrackAuth,
    JobFailedError,
    Secret,
    TokensUnreadableError,
    UnexpectedAnswerError,
)
from fittrack_auth_client.operations import TokensToImport
from tests.client.clients import Connect
from tests.client.stand_in import Answer, StandIn, accepted, code_asked, failed, job, succeeded

IMPORT = "POST /api/garmin/import"
DI = {"di_token": "a", "di_refresh_token": "r", "di_client_id": "c"}


@pytest.fixture
def auth(connect: Connect, stand_in: StandIn) -> FitTrackAuth:
    stand_in.on(IMPORT, accepted("one"))
    return connect(stand_in.url, client_key="app-key")


def imported() -> Answer:
    answer = succeeded("one")
    assert isinstance(answer.data, dict)
    return Answer(200, {**answer.data, "kind": "import", "exclusive": True})


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("a dump", "a dump"),
        (Secret("a dump"), "a dump"),
        (DI, json.dumps(DI)),
        ([{"oauth_token": "o"}, {}], '[{"oauth_token": "o"}, {}]'),
    ],
)
def test_tokens_are_imported_in_any_form(
    stand_in: StandIn, auth: FitTrackAuth, tokens: TokensToImport, text: str
) -> None:
    stand_in.on(job("one"), imported())
    stages: list[str] = []
    signed_in = auth.import_tokens(tokens, user_id="member-1", on_stage=stages.append)
    assert signed_in.exclusive is True
    assert signed_in.user.id == "user-1"
    assert stages == ["waiting_for_worker"]
    [request] = stand_in.seen(IMPORT)
    assert request.data == {"tokens": text, "user_id": "member-1"}
    assert request.headers["x-client-key"] == "app-key"
    assert request.headers["idempotency-key"]


def test_a_key_is_imported(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(job("one"), succeeded("one"))
    signed_in = auth.import_personal_api_key("key", domain="garmin.cn")
    assert signed_in.exclusive is None
    assert stand_in.seen(IMPORT)[0].data == {"personal_api_key": "key", "domain": "garmin.cn"}


def test_what_is_missing_is_in_the_error(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(job("one"), failed("one", "tokens_unreadable", message="oauth_token is missing"))
    with pytest.raises(TokensUnreadableError, match="oauth_token is missing") as error:
        auth.import_tokens(DI)
    assert isinstance(error.value, JobFailedError)


def test_an_import_that_asks_for_a_code_is_no_import(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(job("one"), code_asked("one"))
    with pytest.raises(UnexpectedAnswerError):
        auth.import_tokens(DI)
