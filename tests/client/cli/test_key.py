"""`fittrack-auth key`: a key of Garmin's Personal API in place of a password."""

import json

import pytest

from tests.client.cli.program import Program, Result
from tests.client.cli.pseudo_terminal import terminal
from tests.client.stand_in import (
    ACCESS_TOKEN,
    StandIn,
    accepted,
    failed,
    job,
    problem,
    succeeded,
    under_way,
)

IMPORT = "POST /api/garmin/import"
KEY = "personal-api-key-that-is-secret"


def connect(program: Program, *arguments: str, stdin: str = f"{KEY}\n") -> Result:
    return program.run("key", "--key-stdin", *arguments, stdin=stdin)


def test_a_key_keeps_a_session(service: StandIn, program: Program) -> None:
    service.on(IMPORT, accepted("one"))
    service.on(job("one"), under_way("one", "contacting_garmin"), succeeded("one"))
    result = connect(program)
    assert result.exit_code == 0, result.err
    assert "Signed in as Runner." in result.out
    assert service.seen(IMPORT)[0].data == {"personal_api_key": KEY}
    assert service.seen(IMPORT)[0].headers["idempotency-key"]
    stored = program.session_file.read_text()
    assert json.loads(stored)["access_token"] == ACCESS_TOKEN
    assert KEY not in stored + result.out + result.err


def test_what_stands_around_a_pasted_key_is_left_out(service: StandIn, program: Program) -> None:
    service.on(IMPORT, accepted("one"))
    service.on(job("one"), succeeded("one"))
    assert connect(program, stdin=f"  {KEY}\t\r\n").exit_code == 0
    assert service.seen(IMPORT)[0].data == {"personal_api_key": KEY}


def test_an_app_s_key_goes_with_it(service: StandIn, program: Program) -> None:
    service.on(IMPORT, accepted("one"))
    service.on(job("one"), succeeded("one"))
    program.environment["FITTRACK_CLIENT_KEY"] = "key-of-the-app"
    assert connect(program).exit_code == 0
    assert service.seen(IMPORT)[0].headers["x-client-key"] == "key-of-the-app"
    assert "x-client-key" not in service.seen(job("one"))[0].headers


def test_a_refused_key_keeps_nothing(service: StandIn, program: Program) -> None:
    service.on(IMPORT, accepted("one"))
    service.on(job("one"), failed("one", "tokens_rejected"))
    result = connect(program, "--json")
    assert result.exit_code == 1
    assert result.error["code"] == "tokens_rejected"
    assert KEY not in result.out + result.err
    assert not program.session_file.exists()


def test_a_service_that_wants_an_app_says_so(service: StandIn, program: Program) -> None:
    service.on(IMPORT, problem(401, "unauthorized"))
    result = connect(program, "--json")
    assert result.error["code"] == "client_key_needed"


def test_a_person_is_asked_for_it_hidden(service: StandIn, program: Program) -> None:
    service.on(IMPORT, accepted("one"))
    service.on(job("one"), succeeded("one"))
    with terminal(program, "key") as seen:
        seen.expect("Personal API key (hidden): ")
        seen.type(f"{KEY}\n")
        assert seen.exit_code() == 0, seen.text
    assert KEY not in seen.raw
    assert service.seen(IMPORT)[0].data == {"personal_api_key": KEY}


@pytest.mark.parametrize("arguments", [("--key", KEY), (KEY,)])
def test_the_key_is_no_argument(
    service: StandIn, program: Program, arguments: tuple[str, ...]
) -> None:
    result = program.run("key", *arguments)
    assert result.exit_code == 2
    assert service.requests == []


def test_without_a_terminal_or_a_pipe_it_says_what_is_missing(
    service: StandIn, program: Program
) -> None:
    result = program.run("key")
    assert result.exit_code == 2
    assert "--key-stdin" in result.err
    assert service.requests == []
