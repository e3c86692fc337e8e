"""The marks of the jobs that this worker runs; `shared/database/job_marks.py` says what they are.

They are for the rare case that Redis forgets or is away. Sign-ins need no database: one that does
not answer delays one of them every `Timings.mark_pause`, and what it would have said is not known.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from shared.database.engine import Database
from shared.database.job_marks import JobMarks, JobRun
from shared.errors import ServiceUnavailableError
from shared.jobs.claims import Claim
from shared.timings import Timings

_CONNECTIONS = 2


def run_of(claim: Claim) -> JobRun:
    return JobRun(claim.job_id, claim.runs)


@dataclass
class RunMarks:
    """Once the database has not answered, it is left alone for `pause` seconds."""

    database: Database
    pause: float = 0.0
    _away_until: float = 0.0

    @classmethod
    def at(cls, url: str, timings: Timings) -> Self:
        """Use connections of their own, which give up soon."""
        seconds = timings.mark_answer
        prompt = replace(timings, database_statement=seconds, database_answer=seconds)
        return cls(Database(url, prompt, _CONNECTIONS), timings.mark_pause)

    def begin(self, claim: Claim) -> bool:
        """Mark that a run begins; False if the job has come further than Redis knows."""
        try:
            return self._run_unless_away(lambda marks: marks.begin(run_of(claim)))
        except ServiceUnavailableError:
            return True

    def answer(self, claim: Claim) -> None:
        """Mark that Garmin has answered: no other run may ask again, should this worker die."""
        with suppress(ServiceUnavailableError):
            self._run(lambda marks: marks.answer(run_of(claim)))

    def end(self, claim: Claim) -> None:
        """Mark that the job has ended."""
        with suppress(ServiceUnavailableError):
            self._run_unless_away(lambda marks: marks.end(run_of(claim)))

    def _run_unless_away[T](self, work: Callable[[JobMarks], T]) -> T:
        now = time.monotonic()
        if now < self._away_until:
            raise ServiceUnavailableError("database")
        if self._away_until:
            self._away_until = now + self.pause  # one thread tries, the others go on
        try:
            result = self._run(work)
        except ServiceUnavailableError:
            self._away_until = time.monotonic() + self.pause
            raise
        self._away_until = 0.0
        return result

    def _run[T](self, work: Callable[[JobMarks], T]) -> T:
        return self.database.run_statement(lambda session: work(JobMarks(session)))
