import json
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.client.cli.program import PASSWORD, Program, finished
from tests.client.stand_in import (
    LOGIN,
    Answer,
    StandIn,
    accepted,
    cancel,
    code_asked,
    job,
    problem,
    succeeded,
    under_way,
)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def _hold_the_poll(service: StandIn, release: threading.Event) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), under_way("one", "contacting_garmin", held_by=release), succeeded("one"))
    service.on(cancel("one"), Answer(204))


def test_ctrl_c_while_garmin_is_asked_leaves_nothing_half_done(
    service: StandIn, program: Program, release: threading.Event
) -> None:
    _hold_the_poll(service, release)

    with program.started("login", "-u", "runner@example.com", "--password-stdin") as process:
        assert process.stdin
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        service.wait_for(job("one"))
        process.send_signal(signal.SIGINT)
        result = finished(process)

    assert result.exit_code == 130
    assert "Cancelled. Nothing was changed here" in result.err
    assert "ends by itself" in result.err
    assert "Traceback" not in result.err
    assert list(program.session_file.parent.iterdir()) == []
    [cancelled] = service.seen(cancel("one"))
    assert cancelled.headers["authorization"] == service.requests[1].headers["authorization"]


def test_ctrl_c_keeps_the_session_there_was(
    service: StandIn, program: Program, release: threading.Event
) -> None:
    service.on(LOGIN, accepted("zero"), accepted("one"))
    service.on(job("zero"), succeeded("zero"))
    service.on(job("one"), under_way("one", "storing", held_by=release))
    service.on(cancel("one"), problem(409, "job_not_cancellable"))
    assert program.login().exit_code == 0
    before = program.session_file.read_text()

    with program.started("login", "-u", "runner@example.com", "--password-stdin") as process:
        assert process.stdin
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        service.wait_for(job("one"))
        process.send_signal(signal.SIGINT)
        assert finished(process).exit_code == 130

    assert program.session_file.read_text() == before


def test_ctrl_c_while_a_program_is_asked_for_a_code_is_said_in_json(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(cancel("one"), Answer(204))

    with program.started("login", "-u", "runner@example.com", "--json") as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["mfa_required"] is True
        process.send_signal(signal.SIGINT)
        result = finished(process)

    assert result.exit_code == 130
    assert result.error["code"] == "cancelled"
    assert result.err == ""
    assert not program.session_file.exists()
    assert len(service.seen(cancel("one"))) == 1


def test_being_terminated_leaves_nothing_half_done(
    service: StandIn, program: Program, release: threading.Event
) -> None:
    _hold_the_poll(service, release)

    with program.started("login", "-u", "runner@example.com", "--password-stdin") as process:
        assert process.stdin
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        service.wait_for(job("one"))
        process.terminate()
        result = finished(process)

    assert result.exit_code == 143
    assert "Traceback" not in result.err
    assert list(program.session_file.parent.iterdir()) == []
