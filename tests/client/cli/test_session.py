"""whoami and logout."""

import pytest

from tests.client.cli.program import Program
from tests.client.stand_in import (
    ACCESS_TOKEN,
    LOG_OUT,
    LOG_OUT_EVERYWHERE,
    SESSION,
    Answer,
    Breaks,
    StandIn,
    done,
    problem,
    session,
)


def test_whoami_shows_the_session_and_the_link(service: StandIn, signed_in: Program) -> None:
    service.on(SESSION, session())

    result = signed_in.run("whoami")

    assert result.exit_code == 0, result.err
    for said in ("Runner (user-1)", "2026-01-31", "linked (garmin.com)", "garth", "2027-01-01"):
        assert said in result.out
    assert service.seen(SESSION)[0].headers["authorization"] == f"Bearer {ACCESS_TOKEN}"


def test_whoami_in_json_has_everything(service: StandIn, signed_in: Program) -> None:
    service.on(SESSION, session())

    (told,) = signed_in.run("whoami", "--json").objects

    assert told == {"server": service.url} | dict(_contract())


def _contract() -> dict[str, object]:
    data = session().data
    assert isinstance(data, dict)
    return data


def test_whoami_without_a_link_says_so(service: StandIn, signed_in: Program) -> None:
    service.on(SESSION, Answer(200, _contract() | {"garmin": {"linked": False}}))

    result = signed_in.run("whoami")

    assert result.exit_code == 0
    assert "not linked" in result.out


def test_whoami_without_a_session_says_how_to_get_one(program: Program) -> None:
    result = program.run("whoami")

    assert result.exit_code == 1
    assert "fittrack-auth login" in result.err


def test_whoami_with_a_session_that_is_over_says_so(service: StandIn, signed_in: Program) -> None:
    service.on(SESSION, problem(401, "unauthorized"))

    result = signed_in.run("whoami")

    assert result.exit_code == 1
    assert "fittrack-auth login" in result.err


def test_whoami_asks_again_after_a_lost_answer(service: StandIn, signed_in: Program) -> None:
    service.on(SESSION, Breaks(), problem(503, "service_unavailable", retry_after=0), session())

    assert signed_in.run("whoami").exit_code == 0


@pytest.mark.parametrize("command", ["whoami", "token", "logout"])
def test_an_access_token_goes_to_no_other_server(
    service: StandIn, signed_in: Program, command: str
) -> None:
    with StandIn().running() as other:
        result = signed_in.run(command, "--server", other.url)

    assert result.exit_code == 1
    assert service.url in result.err
    assert other.requests == []
    assert signed_in.session_file.exists()


def test_the_same_server_in_another_spelling_is_the_same(
    service: StandIn, signed_in: Program
) -> None:
    service.on(SESSION, session())

    result = signed_in.run("whoami", "--server", service.url.replace("http", "HTTP") + "/")

    assert result.exit_code == 0, result.err


def test_logout_closes_the_session_at_both_ends(service: StandIn, signed_in: Program) -> None:
    service.on(LOG_OUT, done())

    result = signed_in.run("logout")

    assert result.exit_code == 0
    assert result.out == "Logged out.\n"
    assert service.seen(LOG_OUT)[0].headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert not signed_in.session_file.exists()


def test_logout_everywhere_closes_all_sessions(service: StandIn, signed_in: Program) -> None:
    service.on(LOG_OUT_EVERYWHERE, done())

    result = signed_in.run("logout", "--everywhere", "--json")

    assert result.objects == [{"logged_out": True, "everywhere": True}]
    assert len(service.seen(LOG_OUT_EVERYWHERE)) == 1
    assert not signed_in.session_file.exists()


def test_logout_of_a_session_that_is_over_removes_it(service: StandIn, signed_in: Program) -> None:
    service.on(LOG_OUT, problem(401, "unauthorized"))

    assert signed_in.run("logout").exit_code == 0
    assert not signed_in.session_file.exists()


def test_logout_everywhere_does_not_claim_what_it_could_not_do(
    service: StandIn, signed_in: Program
) -> None:
    service.on(LOG_OUT_EVERYWHERE, problem(401, "unauthorized"))

    result = signed_in.run("logout", "--everywhere")

    assert result.exit_code == 1
    assert "could not be closed" in result.err
    assert not signed_in.session_file.exists()


def test_logout_keeps_the_session_while_the_service_is_away(
    service: StandIn, signed_in: Program
) -> None:
    service.on(LOG_OUT, problem(503, "service_unavailable", retry_after=600))

    result = signed_in.run("logout")

    assert result.exit_code == 3
    assert "is kept" in result.err
    assert signed_in.session_file.exists()


def test_a_stranger_s_401_does_not_log_out(service: StandIn, signed_in: Program) -> None:
    """A gateway that wants a password of its own knows nothing about the session."""
    service.on(LOG_OUT, Answer(401, raw=b"<html>Who are you?</html>"))

    assert signed_in.run("logout").exit_code == 3
    assert signed_in.session_file.exists()


def test_logout_without_a_session_is_done_already(program: Program) -> None:
    result = program.run("logout")

    assert result.exit_code == 0
    assert "nothing to do" in result.out


def test_logout_everywhere_without_a_session_is_not(program: Program) -> None:
    assert program.run("logout", "--everywhere").exit_code == 1
