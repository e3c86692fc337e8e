"""The service is away, busy, slow or not what it should be."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.program import PASSWORD, Program
from tests.cli.stand_in import (
    CODE,
    LOGIN,
    Answer,
    Breaks,
    StandIn,
    accepted,
    code_asked,
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
    service: StandIn, program: Program, status: int, code: str
) -> None:
    service.on(LOGIN, problem(status, code, retry_after=1), accepted("one"))
    service.on(job("one"), succeeded("one"))

    before = time.monotonic()
    result = program.login()

    assert result.exit_code == 0, result.err
    assert time.monotonic() - before >= 1
    assert len(service.seen(LOGIN)) == 2
    assert "asking again in 1 second" in result.err


def test_a_service_that_turns_everyone_away_is_asked_a_few_times(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, problem(503, "service_unavailable", retry_after=0))

    result = program.login()

    assert result.exit_code == 3
    assert "can't work just now" in result.err
    assert len(service.seen(LOGIN)) == 4


def test_a_long_wait_is_left_to_the_person(service: StandIn, program: Program) -> None:
    service.on(LOGIN, problem(429, "rate_limited", retry_after=600))

    result = program.login("--json")

    assert result.exit_code == 3
    assert result.error["code"] == "rate_limited"
    assert result.error["retry_after"] == 600
    assert "Try again in 10 minutes." in str(result.error["message"])
    assert len(service.seen(LOGIN)) == 1


def test_a_service_that_does_not_say_when_is_not_asked_again(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, problem(503, "service_unavailable"))

    assert program.login().exit_code == 3
    assert len(service.seen(LOGIN)) == 1


def test_a_lost_answer_is_not_a_reason_to_try_a_password_twice(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, Breaks())

    result = program.login()

    assert result.exit_code == 3
    assert "It was not sent a second time" in result.err
    assert len(service.seen(LOGIN)) == 1


def test_a_lost_answer_is_not_a_reason_to_try_a_code_twice(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, Breaks())

    result = program.login("--code-stdin", lines=(PASSWORD, "123456", "123456"))

    assert result.exit_code == 3
    assert len(service.seen(CODE)) == 1


def test_a_gateway_error_is_not_a_reason_to_try_a_password_twice(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, Answer(502, raw=b"<html>Bad gateway</html>"))

    result = program.login()

    assert result.exit_code == 3
    assert "It was not sent a second time" in result.err
    assert len(service.seen(LOGIN)) == 1


def test_a_busy_challenge_is_waited_for(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, problem(409, "challenge_busy", retry_after=0), accepted("two"))
    service.on(job("two"), succeeded("two"))

    result = program.login("--code-stdin", lines=(PASSWORD, "123456"))

    assert result.exit_code == 0, result.err
    assert len(service.seen(CODE)) == 2


def test_a_challenge_that_stays_busy_is_given_up(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, problem(409, "challenge_busy", retry_after=0))

    result = program.login("--code-stdin", lines=(PASSWORD, "123456"))

    assert result.exit_code == 3
    assert len(service.seen(CODE)) == 4


def test_an_unreachable_service_is_said_to_be_so(program: Program) -> None:
    with _address_nobody_listens_at() as address:
        result = program.login("--server", address)

    assert result.exit_code == 3
    assert "can't be reached" in result.err
    assert "asking again" in result.err
    assert not program.session_file.exists()


def test_polling_goes_on_through_a_short_outage(service: StandIn, program: Program) -> None:
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


def test_it_polls_no_sooner_than_the_service_says(service: StandIn, program: Program) -> None:
    service.on(LOGIN, accepted("one", retry_after=1))
    service.on(job("one"), under_way("one", "storing", retry_after=1), succeeded("one"))

    before = time.monotonic()
    assert program.login().exit_code == 0

    assert time.monotonic() - before >= 2


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
