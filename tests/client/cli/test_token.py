"""token, and the files that programs with garminconnect or garth read."""

from datetime import UTC, datetime

import garminconnect.client
import pytest

from tests.client.cli.program import Program
from tests.client.stand_in import ACCESS_TOKEN, StandIn, problem, token
from tests.dev.libraries import garth

TOKEN = "POST /api/garmin/token"
TOKEN_OF_MEMBER = "POST /api/users/member%2F1/garmin/token"
EXPIRES_AT = int(datetime(2026, 1, 2, 10, tzinfo=UTC).timestamp())
GARMIN_TOKEN = f"eyJhbGciOi.{'x' * 1500}.a-b_c"


def test_token_prints_the_token_and_nothing_else(service: StandIn, signed_in: Program) -> None:
    service.on(TOKEN, token(GARMIN_TOKEN))

    result = signed_in.run("token")

    assert (result.exit_code, result.out, result.err) == (0, f"{GARMIN_TOKEN}\n", "")
    assert service.seen(TOKEN)[0].headers["authorization"] == f"Bearer {ACCESS_TOKEN}"


def test_token_prints_every_field_as_json(service: StandIn, signed_in: Program) -> None:
    answer = token(GARMIN_TOKEN)
    service.on(TOKEN, answer)

    assert signed_in.run("token", "--json").objects == [answer.data]


def test_token_of_an_app_needs_no_session(service: StandIn, program: Program) -> None:
    service.on(TOKEN_OF_MEMBER, token(GARMIN_TOKEN))

    result = program.run(
        "token", "--user-id", "member/1", "--min-valid-for", "3600", FITTRACK_CLIENT_KEY="key"
    )

    assert (result.exit_code, result.out, result.err) == (0, f"{GARMIN_TOKEN}\n", "")
    [request] = service.seen(TOKEN_OF_MEMBER)
    assert request.headers["x-client-key"] == "key"
    assert request.data == {"min_valid_for": 3600}
    assert program.run("token", "--user-id", "member/1").exit_code == 2


def test_a_wrong_key_of_an_app_is_not_called_a_session(service: StandIn, program: Program) -> None:
    service.on(TOKEN_OF_MEMBER, problem(401, "unauthorized"))

    result = program.run("token", "--user-id", "member/1", "--json", FITTRACK_CLIENT_KEY="old")

    assert (result.exit_code, result.error["code"]) == (1, "client_key_needed")


def test_token_is_printed_as_garminconnect_keeps_it(service: StandIn, signed_in: Program) -> None:
    service.on(TOKEN, token(GARMIN_TOKEN))
    client = garminconnect.client.Client()
    client.loads(signed_in.run("token", "--format", "garminconnect").out)
    assert client.get_api_headers()["Authorization"] == f"Bearer {GARMIN_TOKEN}"
    client.cs.close()
    client._api_session.close()


def test_token_is_printed_as_garth_keeps_it(service: StandIn, signed_in: Program) -> None:
    answer = token(GARMIN_TOKEN)
    service.on(TOKEN, answer)
    client = garth.Client()
    client.loads(signed_in.run("token", "--format", "garth").out)
    assert isinstance(client.oauth2_token, garth.auth_tokens.OAuth2Token)
    assert str(client.oauth2_token) == f"Bearer {GARMIN_TOKEN}"
    assert client.oauth2_token.expires_at == EXPIRES_AT
    client.sess.close()


@pytest.mark.parametrize("library", ["garminconnect", "garth"])
def test_no_library_is_given_a_token_that_it_cannot_use(
    service: StandIn, signed_in: Program, library: str
) -> None:
    service.on(TOKEN, token(GARMIN_TOKEN, access="read"))

    result = signed_in.run("token", "--format", library)

    assert (result.exit_code, result.out) == (2, "")
    assert "Personal API" in result.err


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (409, "sign_in_required", "fittrack-auth login"),
        (403, "scope_missing", "does not allow"),
        (404, "link_not_found", "connected"),
        (401, "unauthorized", "session is over"),
    ],
)
def test_no_token_says_why(
    service: StandIn, signed_in: Program, status: int, code: str, words: str
) -> None:
    service.on(TOKEN, problem(status, code))

    result = signed_in.run("token")

    assert (result.exit_code, result.out) == (1, "")
    assert words in result.err


def test_no_token_without_a_session(program: Program) -> None:
    result = program.run("token")
    assert (result.exit_code, result.out) == (1, "")
