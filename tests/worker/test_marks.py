"""A database that hangs delays a sign-in now and then, not each of them."""

import socket
import time
from dataclasses import replace

from shared.jobs.claims import Claim
from shared.jobs.states import JobKind
from shared.timings import PRODUCTION
from worker.marks import RunMarks

CLAIM = Claim("a job", "worker", JobKind.LOGIN, 1, None, None)
PAUSE = 0.5


def marks_at(database: socket.socket) -> RunMarks:
    url = f"postgresql+psycopg://x@127.0.0.1:{database.getsockname()[1]}/x"
    return RunMarks.at(url, replace(PRODUCTION, mark_answer=1, mark_pause=PAUSE))


def connections(database: socket.socket) -> int:
    """Return how many clients have connected since the last call."""
    database.setblocking(False)
    count = 0
    while True:
        try:
            database.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_a_database_that_hangs_is_not_waited_for_by_every_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as database:
        marks = marks_at(database)
        for _ in range(20):
            assert marks.begin(CLAIM)
            marks.end(CLAIM)
        assert connections(database) == 1

        time.sleep(PAUSE)
        assert marks.begin(CLAIM)
        assert connections(database) == 1


def test_an_answer_of_garmins_is_marked_if_it_can_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as database:
        marks = marks_at(database)
        assert marks.begin(CLAIM)
        marks.answer(CLAIM)
        assert connections(database) == 2
