"""The service is away, busy, slow or not what it should be."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.client.cli.program import PASSWORD, Program
from tests.client.stand_in import (
    CODE,
    LOGIN,
    Answer,
    Breaks,
    StandIn,
    accepted,
    code_asked,
    failed,
    job,
    problem,
    succeeded,
    under_way,
)


@contextmanager
def _address_nobody_listens_at() -> Iterator[str]:
    """Bound, so that nobody else takes it; never listened at, so that it refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(("status", "code"), [(503, "service_unavailable"), (429, "rate_limited")])
def test_a_submission_that_was_turned_away_is_sent_again_when_the_service_says(
    service: StandIn, program: Program, pauses: list[float], status: int, code: str
) -> None:
    service.on(LOGIN, problem(status, code, retry_after=1), accepted("one"))
    service.on(job("one"), succeeded("one"))

    result = program.login()

    assert result.exit_code == 0, result.err
    assert pauses == [1.0]
    assert len(service.seen(LOGIN)) == 2
    assert "asking again in 1 second" in result.err


@pytest.mark.parametrize("retry_after", [0, None])
def test_a_service_that_turns_everyone_away_is_asked_a_few_times(
    service: StandIn, program: Program, pauses: list[float], retry_after: int | None
) -> None:
    service.on(LOGIN, problem(503, "service_unavailable", retry_after=retry_after))

    result = program.login()

    assert result.exit_code == 3
    assert "can't work just now" in result.err
    assert len(service.seen(LOGIN)) == 4
    assert len(pauses) == 3


def test_a_long_wait_is_left_to_the_person(service: StandIn, program: Program) -> None:
    service.on(LOGIN, problem(429, "rate_limited", retry_after=600))

    result = program.login("--json")

    assert result.exit_code == 3
    assert result.error["code"] == "rate_limited"
    assert result.error["retry_after"] == 600
    assert "Try again in 10 minutes." in str(result.error["message"])
    assert len(service.seen(LOGIN)) == 1


LOST = [Breaks(), Answer(502, raw=b"<html>Bad gateway</html>")]


@pytest.mark.parametrize("lost", LOST, ids=["broken", "gateway"])
def test_a_password_whose_answer_is_lost_is_sent_again_as_the_same_submission(
    service: StandIn, program: Program, pauses: list[float], lost: Answer
) -> None:
    service.on(LOGIN, lost, accepted("one"))
    service.on(job("one"), succeeded("one"))

    result = program.login()

    assert result.exit_code == 0, result.err
    assert "did not answer" in result.err
    assert len(pauses) == 1
    first, second = (request.headers["idempotency-key"] for request in service.seen(LOGIN))
    assert first == second


@pytest.mark.parametrize("lost", LOST, ids=["broken", "gateway"])
def test_if_every_answer_is_lost_nobody_claims_to_know_what_happened(
    service: StandIn, program: Program, pauses: list[float], lost: Answer
) -> None:
    service.on(LOGIN, lost)

    result = program.login("--json")

    assert result.exit_code == 3
    assert result.error["code"] == "answer_lost"
    assert len(pauses) == 3
    assert len({request.headers["idempotency-key"] for request in service.seen(LOGIN)}) == 1


def test_each_code_is_a_submission_of_its_own(
    service: StandIn, program: Program, pauses: list[float]
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, Breaks(), accepted("two"), accepted("three"))
    service.on(job("two"), failed("two", "mfa_code_invalid", attempts_left=2))
    service.on(job("three"), succeeded("three"))

    result = program.login("--code-stdin", lines=(PASSWORD, "000000", "123456"))

    assert result.exit_code == 0, result.err
    keys = [request.headers["idempotency-key"] for request in service.seen(CODE)]
    assert keys[0] == keys[1]
    assert keys[1] != keys[2]
    assert service.seen(LOGIN)[0].headers["idempotency-key"] not in keys


def test_a_busy_challenge_is_waited_for(
    service: StandIn, program: Program, pauses: list[float]
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, problem(409, "challenge_busy", retry_after=0), accepted("two"))
    service.on(job("two"), succeeded("two"))

    result = program.login("--code-stdin", lines=(PASSWORD, "123456"))

    assert result.exit_code == 0, result.err
    assert len(service.seen(CODE)) == 2
    assert len(pauses) == 1


def test_a_challenge_that_stays_busy_is_given_up(
    service: StandIn, program: Program, pauses: list[float]
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, problem(409, "challenge_busy", retry_after=0))

    result = program.login("--code-stdin", lines=(PASSWORD, "123456"))

    assert result.exit_code == 3
    assert len(service.seen(CODE)) == 4
    assert len(pauses) == 3


def test_an_unreachable_service_is_said_to_be_so(program: Program, pauses: list[float]) -> None:
    with _address_nobody_listens_at() as address:
        result = program.login("--server", address)

    assert result.exit_code == 3
    assert "can't be reached" in result.err
    assert "asking again" in result.err
    assert pauses == [0.5, 1.0, 2.0]
    assert not program.session_file.exists()


def test_polling_goes_on_through_a_short_outage(
    service: StandIn, program: Program, pauses: list[float]
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(
        job("one"),
        under_way("one", "contacting_garmin"),
        Breaks(),
        problem(503, "service_unavailable", retry_after=0),
        Answer(502, raw=b"<html>Bad gateway</html>"),
        problem(429, "rate_limited", retry_after=0),
        succeeded("one"),
    )

    result = program.login()

    assert result.exit_code == 0, result.err
    assert len(service.seen(LOGIN)) == 1
    assert len(service.seen(job("one"))) == 6
    assert all(seconds > 0 for seconds in pauses)


def test_polling_ends_when_the_result_can_no_longer_be_there(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one", expires_in=2))
    service.on(job("one"), under_way("one", "contacting_garmin"))

    result = program.login("--json")

    assert result.exit_code == 3
    assert result.error["code"] == "no_result_in_time"


def test_an_outage_that_outlasts_the_result_ends_it(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one", expires_in=5))
    service.on(job("one"), Breaks())

    result = program.login("--json")

    assert result.exit_code == 3
    assert result.error["code"] == "service_unreachable"


def test_it_polls_no_sooner_than_the_service_says(
    service: StandIn, program: Program, pauses: list[float]
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), under_way("one", "storing", retry_after=7), succeeded("one"))

    assert program.login().exit_code == 0

    assert pauses == [7.0]


def test_a_job_that_is_gone_ends_it(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), problem(404, "job_not_found"))

    result = program.login()

    assert result.exit_code == 1
    assert "has expired" in result.err
    assert len(service.seen(job("one"))) == 1


def test_a_mistake_of_the_service_is_not_asked_for_twice(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), problem(500, "internal_error"))

    assert program.login().exit_code == 3
    assert len(service.seen(job("one"))) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        Answer(200, raw=b"<html>It works!</html>"),
        Answer(202, raw=b""),
        Answer(202, raw=b"\xff\xfe"),
        Answer(202, raw=b"[" * 100_000),
        Answer(202, data=[]),
        Answer(202, data={"job_id": "one"}),
        Answer(404, raw=b"Not found"),
        Answer(202, raw=b"x", headers={"Content-Encoding": "gzip"}),
        Answer(202, raw=b" " * (1 << 21)),
    ],
    ids=["page", "empty", "bytes", "deep", "list", "partial", "plain-404", "encoding", "large"],
)
def test_garbage_is_called_that(service: StandIn, program: Program, garbage: Answer) -> None:
    service.on(LOGIN, garbage)

    result = program.login("--json")

    assert result.exit_code == 3, result.err
    assert result.error["code"] == "unexpected_answer"
    assert result.err == ""


@pytest.mark.parametrize(
    "garbage",
    [
        Answer(200, data={"job_id": "one", "status": "levitating"}),
        Answer(200, data={"job_id": "one", "status": "succeeded", "session_id": "s"}),
        Answer(200, raw=b"null"),
    ],
)
def test_a_garbled_job_is_called_that(service: StandIn, program: Program, garbage: Answer) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), garbage)

    result = program.login("--json")

    assert result.exit_code == 3
    assert result.error["code"] == "unexpected_answer"
    assert not program.session_file.exists()


def test_an_address_with_a_path_too_many_is_named(program: Program, service: StandIn) -> None:
    service.on(LOGIN, problem(404, "not_found"))
    result = program.run("login", "-u", "runner", "--password-stdin", stdin="secret\n")
    assert result.exit_code == 3
    assert "not at this path" in " ".join(result.err.split())


def test_https_to_a_server_without_it_is_named(program: Program, service: StandIn) -> None:
    address = service.url.replace("http://", "https://")
    result = program.run(
        "login", "-u", "runner", "--password-stdin", "--server", address, stdin="secret\n"
    )
    assert result.exit_code == 3
    assert "does not speak https" in " ".join(result.err.split())
    assert service.requests == []


def test_a_puzzle_does_not_end_a_sign_in(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"))
    service.on(job("two"), failed("two", "captcha_required", attempts_left=3))
    shown = program.login("--code-stdin", lines=(PASSWORD, "123456")).err
    assert "solve the puzzle there, then enter a code." in " ".join(shown.split())
