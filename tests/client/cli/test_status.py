from dataclasses import replace

import pytest

from tests.client.cli.program import Program
from tests.client.stand_in import (
    ACCESS_TOKEN,
    CHALLENGE,
    Answer,
    StandIn,
    code_asked,
    failed,
    job,
    problem,
    succeeded,
    under_way,
)

TOKEN = "poll-token-of-a-program"


def test_it_shows_the_stage(service: StandIn, program: Program) -> None:
    service.on(job("one"), under_way("one", "contacting_garmin"))

    result = program.run("status", "one", stdin=f"{TOKEN}\n")

    assert result.exit_code == 0, result.err
    assert "Signing in to Garmin" in result.out
    (request,) = service.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.query == {}


def test_it_can_wait_for_news(service: StandIn, program: Program) -> None:
    service.on(job("one"), under_way("one", "storing"))

    program.run("status", "one", "--wait", "30", stdin=f"{TOKEN}\n")

    assert service.requests[0].query == {"wait": ["30"]}


def test_the_poll_token_may_be_in_the_environment(service: StandIn, program: Program) -> None:
    service.on(job("one"), under_way("one", "storing"))

    result = program.run("status", "one", FITTRACK_POLL_TOKEN=TOKEN)

    assert result.exit_code == 0, result.err
    assert service.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in result.out + result.err


@pytest.mark.parametrize(
    ("answer", "secret"), [(succeeded("one"), ACCESS_TOKEN), (code_asked("one"), CHALLENGE)]
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_job_s_secrets_are_shown_only_when_asked_for(
    service: StandIn, program: Program, answer: Answer, secret: str, options: tuple[str, ...]
) -> None:
    service.on(job("one"), answer)

    plain = program.run("status", "one", *options, stdin=f"{TOKEN}\n")
    revealing = program.run("status", "one", "--show-token", *options, stdin=f"{TOKEN}\n")

    assert plain.exit_code == revealing.exit_code == 0
    assert secret not in plain.out
    assert secret in revealing.out


@pytest.mark.parametrize(
    ("answer", "field"),
    [(succeeded("one"), "access_token"), (code_asked("one"), "mfa_challenge_id")],
)
def test_a_secret_that_is_shown_can_not_control_the_terminal(
    service: StandIn, program: Program, answer: Answer, field: str
) -> None:
    assert isinstance(answer.data, dict)
    service.on(job("one"), replace(answer, data=answer.data | {field: "A\x1b[2J\u202eB\nC"}))

    result = program.run("status", "one", "--show-token", stdin=f"{TOKEN}\n")

    assert result.exit_code == 0, result.err
    assert "A\ufffd[2J\ufffdB\ufffdC" in result.out


def test_a_failed_job_has_the_exit_code_of_its_failure(service: StandIn, program: Program) -> None:
    service.on(job("one"), failed("one", "account_locked"))

    result = program.run("status", "one", "--json", stdin=f"{TOKEN}\n")

    assert result.exit_code == 1
    assert result.objects[0]["status"] == "failed"
    assert result.error["code"] == "account_locked"


def test_an_unknown_job_is_said_to_be_one(service: StandIn, program: Program) -> None:
    service.on(job("one"), problem(404, "job_not_found"))

    result = program.run("status", "one", stdin=f"{TOKEN}\n")

    assert result.exit_code == 1
    assert "no such job" in result.err


@pytest.mark.parametrize(
    ("job_id", "stdin", "said"),
    [
        ("one", "", "poll token"),
        ("../session", f"{TOKEN}\n", "no job id"),
        ("one", "bad token\n", "other characters"),
        ("one", "töken\n", "other characters"),
    ],
)
def test_what_can_not_be_used_is_not_sent(
    service: StandIn, program: Program, job_id: str, stdin: str, said: str
) -> None:
    result = program.run("status", job_id, stdin=stdin)

    assert result.exit_code == 2
    assert said in result.err
    assert service.requests == []
