"""One pipe drives a whole sign-in."""

import json
import subprocess

from tests.client.cli.program import PASSWORD, Program, finished
from tests.client.stand_in import (
    ACCESS_TOKEN,
    CODE,
    LOGIN,
    StandIn,
    accepted,
    code_asked,
    failed,
    job,
    succeeded,
)


def _two_codes_needed(service: StandIn) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"), accepted("three"))
    service.on(job("two"), failed("two", "mfa_code_invalid", attempts_left=2))
    service.on(job("three"), succeeded("three"))


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout
    heard = json.loads(process.stdout.readline())
    assert isinstance(heard, dict)
    return heard


def test_a_program_is_asked_and_answers(service: StandIn, program: Program) -> None:
    _two_codes_needed(service)

    with program.started("login", "--username", "runner@example.com", "--json") as process:
        _say(process, PASSWORD)
        first = _hear(process)
        _say(process, "000000")
        second = _hear(process)
        _say(process, "123456")
        result = finished(process)

    assert 0 < int(str(first.pop("expires_in"))) <= 600
    assert first == {
        "mfa_required": True,
        "mfa_type": "email",
        "mfa_destination": "r***@example.com",
        "attempts_left": 3,
        "previous_error": None,
    }
    assert second["mfa_required"] is True
    assert second["attempts_left"] == 2
    assert second["previous_error"] == {
        "code": "mfa_code_invalid",
        "message": "Garmin did not accept this code.",
        "retry_after": None,
    }
    assert result.exit_code == 0
    assert result.err == ""
    (last,) = result.objects
    assert str(last.pop("expires_at")).endswith("Z")
    assert last == {
        "session_id": "session-1",
        "user": {"id": "user-1", "display_name": "Runner"},
        "expires_in": 3600,
        "server": service.url,
        "session_file": str(program.session_file),
    }


def test_the_answers_may_all_be_there_from_the_start(service: StandIn, program: Program) -> None:
    _two_codes_needed(service)

    result = program.run(
        "login", "-u", "runner@example.com", "--json", stdin=f"{PASSWORD}\r\n000000\r\n123456"
    )

    assert result.exit_code == 0
    assert [sorted(said)[0] for said in result.objects] == [
        "attempts_left",
        "attempts_left",
        "expires_at",
    ]
    codes = [request.data["mfa_code"] for request in service.seen(CODE) if request.data]
    assert codes == ["000000", "123456"]


def test_a_pipe_that_ends_too_early_is_said_to(service: StandIn, program: Program) -> None:
    _two_codes_needed(service)

    result = program.login("--json")

    assert result.exit_code == 2
    assert result.error["code"] == "missing_input"
    assert "code" in str(result.error["message"])


def test_the_access_token_is_printed_only_when_asked_for(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))

    assert ACCESS_TOKEN not in program.login("--json").out
    assert program.login("--json", "--show-token").objects[-1]["access_token"] == ACCESS_TOKEN
    assert ACCESS_TOKEN not in program.login().out
    assert ACCESS_TOKEN in program.login("--show-token").out


def test_an_error_is_one_object(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), failed("one", "garmin_rate_limited", retry_after=3600))

    result = program.login("--json")

    assert result.exit_code == 1
    assert result.err == ""
    (only,) = result.objects
    assert list(only) == ["error"]
    assert result.error["code"] == "garmin_rate_limited"
    assert result.error["retry_after"] == 3600


def test_whoami_and_logout_fail_in_json_too(program: Program) -> None:
    assert program.run("whoami", "--json").error["code"] == "not_signed_in"
    assert program.run("logout", "--everywhere", "--json").error["code"] == "not_signed_in"
