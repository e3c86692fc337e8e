"""As a person sees it."""

from tests.client.cli.program import EXECUTABLE, PASSWORD, Program
from tests.client.cli.pseudo_terminal import terminal, terminal_with
from tests.client.stand_in import (
    CODE,
    LOGIN,
    Answer,
    StandIn,
    accepted,
    cancel,
    code_asked,
    failed,
    job,
    succeeded,
    under_way,
)


def _a_sign_in_with_a_wrong_code(service: StandIn) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), under_way("one", "contacting_garmin", retry_after=1), code_asked("one"))
    service.on(CODE, accepted("two"), accepted("three"))
    service.on(job("two"), failed("two", "mfa_code_invalid", attempts_left=2))
    service.on(job("three"), succeeded("three"))


def test_a_person_is_asked_for_all_that_is_missing(service: StandIn, program: Program) -> None:
    _a_sign_in_with_a_wrong_code(service)

    with terminal(program, "login") as seen:
        seen.expect("username (e-mail address): ")
        seen.type("runner@example.com\n")
        seen.expect("password (hidden): ")
        assert not seen.shows_what_is_typed
        seen.type(f"{PASSWORD}\n")
        seen.expect("Signing in to Garmin…")
        seen.expect("Garmin has sent a code by e-mail to r***@example.com.\n")
        seen.expect("3 attempts left.\nCode: ")
        assert seen.shows_what_is_typed
        seen.type("000000\n")
        seen.expect("Garmin did not accept this code.")
        seen.expect("2 attempts left.\nCode: ")
        seen.type("123 456\n")
        assert seen.exit_code() == 0, seen.text

    assert "Signed in as Runner." in seen.text
    assert "123 456" in seen.text
    assert PASSWORD not in seen.raw
    assert seen.raw.count("\x1b[?25l") == seen.raw.count("\x1b[?25h")
    data = service.seen(LOGIN)[0].data
    assert data
    assert (data["username"], data["password"]) == ("runner@example.com", PASSWORD)


def test_nothing_typed_is_asked_for_again(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))

    with terminal(program, "login", "--username", "runner@example.com") as seen:
        seen.expect("password (hidden): ")
        seen.type("\n")
        seen.expect("password (hidden): ")
        seen.type(f"{PASSWORD}\n")
        assert seen.exit_code() == 0, seen.text


def test_ctrl_c_at_the_password_gives_the_terminal_back(program: Program) -> None:
    with terminal(program, "login", "--username", "runner@example.com") as seen:
        seen.expect("password (hidden): ")
        assert not seen.shows_what_is_typed
        seen.type("\x03")
        assert seen.exit_code() == 130

        assert seen.shows_what_is_typed
    assert "\nCancelled. Nothing was changed here." in seen.text
    assert "Traceback" not in seen.text


def test_ctrl_c_at_the_code_leaves_nothing_half_done(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(cancel("one"), Answer(204))

    with terminal(program, "login", "--username", "runner@example.com") as seen:
        seen.expect("password (hidden): ")
        seen.type(f"{PASSWORD}\n")
        seen.expect("Code: ")
        seen.type("\x03")
        assert seen.exit_code() == 130

    assert "ends by itself" in seen.text
    assert "Traceback" not in seen.text
    assert len(service.seen(cancel("one"))) == 1
    assert not program.session_file.exists()


def test_ctrl_c_during_the_live_line_gives_the_cursor_back(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), under_way("one", "contacting_garmin", retry_after=600))
    service.on(cancel("one"), Answer(204))

    with terminal(program, "login", "--username", "runner@example.com") as seen:
        seen.expect("password (hidden): ")
        seen.type(f"{PASSWORD}\n")
        seen.expect("Signing in to Garmin…")
        seen.type("\x03")
        assert seen.exit_code() == 130

    assert seen.raw.rindex("\x1b[?25h") > seen.raw.rindex("\x1b[?25l")
    assert not program.session_file.exists()


def test_the_end_of_input_is_taken_as_a_no(program: Program) -> None:
    with terminal(program, "login") as seen:
        seen.expect("username (e-mail address): ")
        seen.type("\x04")
        assert seen.exit_code() == 130

    assert "Cancelled" in seen.text


def test_a_poll_token_is_hidden_too(service: StandIn, program: Program) -> None:
    service.on(job("one"), under_way("one", "storing"))

    with terminal(program, "status", "one") as seen:
        seen.expect("Poll token (hidden): ")
        seen.type("secret-poll-token\n")
        assert seen.exit_code() == 0, seen.text

    assert "secret-poll-token" not in seen.raw
    assert service.requests[0].headers["authorization"] == "Bearer secret-poll-token"


def test_where_no_line_can_be_redrawn_each_stage_is_a_line(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), under_way("one", "contacting_garmin"), succeeded("one"))
    program.environment["TERM"] = "dumb"

    with terminal(program, "login", "--username", "runner@example.com") as seen:
        seen.expect("password (hidden): ")
        seen.type(f"{PASSWORD}\n")
        assert seen.exit_code() == 0, seen.text

    assert "Signing in to Garmin…\n" in seen.text
    assert "\x1b[?25l" not in seen.raw


def test_who_pipes_the_password_is_still_asked_for_the_code(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"))
    service.on(job("two"), succeeded("two"))
    script = 'echo "$0" | "$1" login --username runner@example.com --password-stdin'

    with terminal_with(program, "/bin/sh", "-c", script, PASSWORD, EXECUTABLE) as seen:
        seen.expect("Code: ")
        seen.type("123456\n")
        assert seen.exit_code() == 0, seen.text


def test_a_code_that_is_piped_is_still_introduced(service: StandIn, program: Program) -> None:
    _a_sign_in_with_a_wrong_code(service)
    login = "login --username runner@example.com --password-stdin --code-stdin"
    script = f'printf "%s\\n000000\\n123456\\n" "$0" | "$1" {login}'

    with terminal_with(program, "/bin/sh", "-c", script, PASSWORD, EXECUTABLE) as seen:
        seen.expect("Garmin has sent a code by e-mail to r***@example.com.\n")
        seen.expect("3 attempts left.\n")
        seen.expect("Garmin did not accept this code.\n")
        seen.expect("2 attempts left.\n")
        seen.expect("Signed in as Runner.")
        assert seen.exit_code() == 0, seen.text


def test_each_stage_stays_on_the_screen(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    stages = ("contacting_garmin", "reading_profile", "storing")
    service.on(job("one"), *(under_way("one", stage) for stage in stages), succeeded("one"))

    with terminal(program, "login", "--username", "runner@example.com") as seen:
        seen.expect("password (hidden): ")
        seen.type(f"{PASSWORD}\n")
        seen.expect("Signing in to Garmin…\n")
        seen.expect("Reading the profile…\n")
        seen.expect("Storing the link to Garmin…\n")
        seen.expect("Signed in as Runner.")
        assert seen.exit_code() == 0, seen.text


def test_a_narrow_terminal_is_wrapped_between_words(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"), accepted("two"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"))
    service.on(job("two"), failed("two", "invalid_credentials"))
    program.environment["COLUMNS"] = "40"

    with terminal(program, "login", "--username", "runner@example.com") as seen:
        seen.expect("password (hidden): ")
        seen.type(f"{PASSWORD}\n")
        seen.expect("Garmin has sent a code by e-mail to \nr***@example.com.\n")
        seen.expect("Code: ")
        seen.type("123456\n")
        seen.expect("Garmin did not accept this username and \npassword.")
        assert seen.exit_code() == 1, seen.text


def test_a_narrow_terminal_shows_a_table_in_columns(service: StandIn, program: Program) -> None:
    service.on(job("one"), failed("one", "garmin_unavailable", attempts_left=2))
    program.environment |= {"COLUMNS": "40", "FITTRACK_POLL_TOKEN": "poll-token"}

    with terminal(program, "status", "one") as seen:
        assert seen.exit_code() == 1, seen.text

    assert seen.text.splitlines() == [
        "Job            one",
        "Status         failed",
        "Reason         Garmin does not answer as",
        "               it should. This is on its",
        "               side and usually passes.",
        "Attempts left  2",
    ]
