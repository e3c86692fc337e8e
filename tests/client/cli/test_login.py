import json
import subprocess

import pytest

from tests.client.cli.program import EXECUTABLE, PASSWORD, Program
from tests.client.stand_in import (
    ACCESS_TOKEN,
    CHALLENGE,
    CODE,
    LOGIN,
    StandIn,
    accepted,
    code_asked,
    failed,
    job,
    poll_token,
    problem,
    succeeded,
    under_way,
)


def test_a_sign_in_without_a_code_keeps_the_session(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), under_way("one", "contacting_garmin"), succeeded("one"))

    result = program.login()

    assert result.exit_code == 0, result.err
    assert "Signed in as Runner." in result.out
    assert "Signing in to Garmin…" in result.err
    stored = json.loads(program.session_file.read_text())
    assert stored["server"] == service.url
    assert stored["access_token"] == ACCESS_TOKEN
    assert stored["session_id"] == "session-1"
    assert stored["user"] == {"id": "user-1", "display_name": "Runner"}
    assert stored["expires_at"].endswith("Z")


def test_what_is_sent_is_what_the_contract_asks_for(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))

    program.login("--domain", "garmin.cn")

    submission = service.seen(LOGIN)[0]
    assert submission.data == {
        "username": "runner@example.com",
        "password": PASSWORD,
        "domain": "garmin.cn",
    }
    assert submission.headers["content-type"] == "application/json"
    poll = service.seen(job("one"))[0]
    assert poll.headers["authorization"] == f"Bearer {poll_token('one')}"
    assert poll.query == {"wait": ["20"], "seen": ["waiting_for_worker"]}


def test_an_app_s_key_goes_with_submissions_alone(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"))
    service.on(job("two"), succeeded("two"))
    program.environment["FITTRACK_CLIENT_KEY"] = "key-of-the-app"

    result = program.login("--code-stdin", lines=(PASSWORD, "123456"))

    assert result.exit_code == 0, result.err
    assert service.seen(LOGIN)[0].headers["x-client-key"] == "key-of-the-app"
    assert service.seen(CODE)[0].headers["x-client-key"] == "key-of-the-app"
    assert "x-client-key" not in service.seen(job("one"))[0].headers
    assert "key-of-the-app" not in result.out + result.err


def test_a_missing_or_wrong_key_of_an_app_is_told_as_that(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, problem(401, "unauthorized"))

    result = program.login()

    assert result.exit_code == 1
    assert "FITTRACK_CLIENT_KEY" in result.err
    assert "session is over" not in result.err


def test_a_password_is_sent_as_it_is_typed(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))

    program.login(lines=("  pässwörd with spaces \t",))

    data = service.seen(LOGIN)[0].data
    assert data
    assert data["password"] == "  pässwörd with spaces \t"


def test_a_code_finishes_the_sign_in(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"))
    service.on(job("two"), under_way("two", "checking_code"), succeeded("two"))

    result = program.login("--code-stdin", lines=(PASSWORD, "123456"))

    assert result.exit_code == 0, result.err
    assert "Garmin has sent a code by e-mail to r***@example.com." in result.err
    assert "3 attempts left" in result.err
    assert service.seen(CODE)[0].data == {"challenge_id": CHALLENGE, "mfa_code": "123456"}
    assert service.seen(job("two"))[0].headers["authorization"] == f"Bearer {poll_token('two')}"


@pytest.mark.parametrize(
    ("way", "destination", "said"),
    [
        ("sms", "***12", "Garmin has sent a code by text message to ***12."),
        ("app", None, "The code is in your authenticator app."),
        ("carrier_pigeon", None, "Garmin has sent a code (carrier_pigeon)."),
        (None, None, "Garmin asks for a code."),
    ],
)
def test_it_says_where_the_code_was_sent(
    service: StandIn, program: Program, way: str | None, destination: str | None, said: str
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one", way=way, destination=destination))

    result = program.login("--code-stdin")

    assert said in result.err


def test_after_a_wrong_code_another_one_may_be_tried(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"), accepted("three"))
    service.on(job("two"), failed("two", "mfa_code_invalid", attempts_left=2))
    service.on(job("three"), succeeded("three"))

    result = program.login("--code-stdin", lines=(PASSWORD, "000000", "123456"))

    assert result.exit_code == 0, result.err
    assert "Garmin did not accept this code." in result.err
    assert "2 attempts left" in result.err
    codes = [request.data["mfa_code"] for request in service.seen(CODE) if request.data]
    assert codes == ["000000", "123456"]


def test_when_the_codes_are_used_up_it_ends(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one", attempts_left=2))
    service.on(CODE, accepted("two"), accepted("three"))
    service.on(job("two"), failed("two", "mfa_code_invalid", attempts_left=1))
    service.on(job("three"), failed("three", "mfa_attempts_exhausted"))

    result = program.login("--code-stdin", lines=(PASSWORD, "1", "2", "3"))

    assert result.exit_code == 1
    assert "1 attempt left" in result.err
    assert "Too many wrong codes" in result.err
    assert len(service.seen(CODE)) == 2
    assert not program.session_file.exists()


def test_a_wrong_code_with_no_attempt_left_is_not_asked_for_again(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one", attempts_left=1))
    service.on(CODE, accepted("two"))
    service.on(job("two"), failed("two", "mfa_code_invalid", attempts_left=0))

    result = program.login("--code-stdin", lines=(PASSWORD, "1", "2"))

    assert result.exit_code == 1
    assert len(service.seen(CODE)) == 1


def test_a_service_that_never_stops_asking_for_codes_is_not_obeyed_for_ever(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"))
    service.on(job("two"), failed("two", "mfa_code_invalid", attempts_left=3))

    result = program.login("--code-stdin", lines=(PASSWORD, *["1"] * 100))

    assert result.exit_code == 1
    assert len(service.seen(CODE)) == 20


def test_a_code_that_garmin_could_not_check_may_be_tried_again(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"), accepted("three"))
    service.on(job("two"), failed("two", "garmin_unavailable", attempts_left=3))
    service.on(job("three"), succeeded("three"))

    result = program.login("--code-stdin", lines=(PASSWORD, "123456", "123456"))

    assert result.exit_code == 0, result.err
    assert "Garmin does not answer as it should." in result.err


def test_a_mistyped_code_does_not_end_the_sign_in(service: StandIn, program: Program) -> None:
    where: list[dict[str, object]] = [{"loc": ["mfa_code"], "message": "digits only"}]
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, problem(422, "invalid_request", errors=where), accepted("two"))
    service.on(job("two"), succeeded("two"))

    result = program.login("--code-stdin", lines=(PASSWORD, "12345o", "123456"))

    assert result.exit_code == 0, result.err
    assert "mfa_code: digits only" in result.err


def test_a_code_that_comes_too_late_says_so(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, problem(404, "challenge_not_found"))

    result = program.login("--code-stdin", lines=(PASSWORD, "123456"))

    assert result.exit_code == 1
    assert "no longer waits for a code" in result.err


def test_it_does_not_wait_for_a_code_longer_than_the_challenge_lives(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one", expires_in=1))

    arguments = ("login", "-u", "runner@example.com", "--json")
    with program.started(*arguments) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        assert process.wait(timeout=90) == 1
        last = json.loads(process.stdout.read().splitlines()[-1])

    assert last["error"]["code"] == "code_not_in_time"


def test_it_asks_for_the_last_code_when_garmin_sends_no_new_one(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"), accepted("three"))
    message = "Garmin sends no new code: enter the last one."
    refused = failed("two", "garmin_rate_limited", attempts_left=3, message=message)
    service.on(job("two"), refused)
    service.on(job("three"), succeeded("three"))

    result = program.login("--code-stdin", lines=(PASSWORD, "123456", "654321"))

    assert result.exit_code == 0, result.err
    assert message in result.err


@pytest.mark.parametrize(
    "code",
    [
        "invalid_credentials",
        "account_locked",
        "captcha_required",
        "garmin_action_required",
        "garmin_rate_limited",
        "interrupted",
        "timed_out",
    ],
)
def test_what_garmin_refuses_is_explained(service: StandIn, program: Program, code: str) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), failed("one", code, retry_after=7200))

    result = program.login()

    assert result.exit_code == 1
    assert "Try again in 2 hours." in result.err
    assert result.out == ""
    assert not program.session_file.exists()


def test_another_sign_in_for_the_account_is_waited_for_by_the_person(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, problem(409, "sign_in_in_progress"))

    result = program.login()

    assert result.exit_code == 3
    assert "Another sign-in for this account is under way" in result.err
    assert len(service.seen(LOGIN)) == 1


def test_a_refused_request_names_what_was_wrong(service: StandIn, program: Program) -> None:
    where: list[dict[str, object]] = [{"loc": ["body", "username"], "message": "too long"}]
    service.on(LOGIN, problem(422, "invalid_request", errors=where))

    result = program.login()

    assert result.exit_code == 2
    assert "body.username: too long" in result.err


def test_an_error_it_does_not_know_is_passed_on(service: StandIn, program: Program) -> None:
    service.on(LOGIN, problem(418, "brand_new"))

    result = program.login()

    assert result.exit_code == 3
    assert "brand_new" in result.err
    assert "(A sentence for a person)." in result.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("--password-stdin",), "secret\n", "--username"),
        (("--username", "runner@example.com"), "", "--password-stdin"),
        (("--username", "runner@example.com", "--password-stdin"), "", "password"),
        (("--username", "runner@example.com", "--password-stdin"), "\n", "password"),
        (("--username", " ", "--password-stdin"), "secret\n", "username is empty"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_sent(
    service: StandIn, program: Program, arguments: tuple[str, ...], stdin: str, said: str
) -> None:
    result = program.run("login", *arguments, stdin=stdin)

    assert result.exit_code == 2
    assert said in result.err
    assert service.requests == []


def test_a_code_nobody_can_be_asked_for_ends_it(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))

    result = program.login(lines=(PASSWORD, "123456"))

    assert result.exit_code == 2
    assert "--code-stdin" in result.err
    assert service.seen(CODE) == []


def test_what_the_service_says_can_not_move_the_cursor(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one", display_name="A\x1b[2J[bold]B\u202e\n"))

    result = program.login()

    assert result.exit_code == 0
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    assert "A\ufffd[2J[bold]B" in result.out


def test_a_name_that_can_not_be_shown_does_not_fail_the_sign_in(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one", display_name="Läufer"))
    program.environment["PYTHONIOENCODING"] = "ascii"

    login = ("login", "-u", "runner@example.com", "--password-stdin")
    result = program.run_process(*login, stdin=f"{PASSWORD}\n")

    assert result.exit_code == 0, result.err
    assert "L?ufer" in result.out


@pytest.mark.parametrize("closed", ["<&-", "2>&-"])
def test_a_closed_stream_is_no_surprise(program: Program, closed: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" login --username a --password-stdin {closed}', EXECUTABLE],
        stdin=subprocess.DEVNULL,
        env=program.environment,
        timeout=90,
        check=False,
    )

    assert done.returncode == 2


@pytest.mark.parametrize("command", ["login", "import", "key"])
def test_an_unknown_domain_is_answered_in_plain_words(program: Program, command: str) -> None:
    result = program.run(command, "--domain", "garmin.fr")
    assert result.exit_code == 2
    assert "'--domain': must be one of garmin.com, garmin.cn\n" in result.err
