"""Marks of jobs only move forwards, on both databases."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.database.engine import Database
from shared.database.job_marks import JobMarks, JobRun

FIRST, SECOND, THIRD = (JobRun("a job", number) for number in (1, 2, 3))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def marks(database: Database) -> "Marks":
    return Marks(database)


class Marks:
    """Each step in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, run: JobRun) -> bool:
        return self._run(lambda marks: marks.begin(run))

    def answer(self, run: JobRun) -> None:
        self._run(lambda marks: marks.answer(run))

    def end(self, run: JobRun) -> bool:
        return self._run(lambda marks: marks.end(run))

    def end_all(self, *job_ids: str) -> None:
        self._run(lambda marks: marks.end_all(job_ids))

    def forget(self, moment: datetime) -> None:
        self._run(lambda marks: marks.delete_older_than(moment, 1000))

    def _run[T](self, work: Callable[[JobMarks], T]) -> T:
        return self._database.run(lambda session: work(JobMarks(session)))


def test_each_run_begins_once(marks: Marks) -> None:
    assert marks.begin(FIRST)
    assert not marks.begin(FIRST)
    assert marks.begin(SECOND)
    assert not marks.begin(FIRST)
    assert not marks.begin(SECOND)
    assert marks.begin(JobRun("another job", 1))


def test_a_mark_is_seen_through_another_connection(marks: Marks, database_url: str) -> None:
    marks.begin(FIRST)
    other = Database(database_url)
    assert not Marks(other).begin(FIRST)
    other.close()


def test_no_run_begins_once_garmin_has_answered(marks: Marks) -> None:
    marks.begin(FIRST)
    marks.answer(FIRST)
    assert not marks.begin(SECOND)


def test_the_run_that_has_the_answer_ends_the_job(marks: Marks) -> None:
    marks.begin(FIRST)
    marks.answer(FIRST)
    assert marks.end(FIRST)
    assert not marks.end(FIRST)
    assert not marks.begin(SECOND)


def test_an_earlier_run_ends_nothing(marks: Marks) -> None:
    marks.begin(SECOND)
    marks.answer(FIRST)
    assert not marks.end(FIRST)
    assert marks.begin(THIRD)


def test_a_job_without_a_mark_can_end(marks: Marks) -> None:
    """The database was away when it began."""
    assert marks.end(SECOND)
    assert not marks.begin(THIRD)


def test_ended_jobs_are_marked_together_and_again(marks: Marks) -> None:
    marks.begin(SECOND)
    for _ in range(2):
        marks.end_all("a job", "another job")
    assert not marks.begin(THIRD)
    assert not marks.end(THIRD)
    assert not marks.begin(JobRun("another job", 1))


def test_the_clock_of_the_process_does_not_make_marks_old(
    marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Behind(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Behind":
            return cls.fromtimestamp(datetime.now(UTC).timestamp(), UTC) - timedelta(days=100)

    monkeypatch.setattr("shared.database.job_marks.datetime", Behind)
    marks.begin(FIRST)
    marks.end_all("another job")
    marks.forget(datetime.now(UTC) - timedelta(minutes=1))
    assert not marks.begin(FIRST)
    assert not marks.begin(JobRun("another job", 1))


def test_old_marks_are_deleted(marks: Marks) -> None:
    marks.begin(FIRST)
    marks.forget(datetime.now(UTC) - timedelta(minutes=1))
    assert not marks.begin(FIRST)
    marks.forget(datetime.now(UTC) + timedelta(minutes=1))
    assert marks.begin(FIRST)
