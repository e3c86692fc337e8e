"""How far jobs have come, in the database: Redis may be restored to a state of seconds ago.

A mark says which run of a job was the last to begin, and whether Garmin has answered it or the job
has ended. It is written only forwards. A job that Redis believes to be earlier than its mark must
not ask Garmin again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Executable, and_, bindparam
from sqlalchemy.orm import Session

from shared.database.clock import database_now, utc_now
from shared.database.deletes import delete_some
from shared.database.inserts import dialect, insert_or
from shared.database.models import JobMark

RETENTION = timedelta(days=3)
"""Longer than any job lives in Redis."""


class MarkState(StrEnum):
    BEGUN = "begun"
    """A worker has begun the run."""

    ANSWERED = "answered"
    """Garmin has answered. The run that holds the answer goes on; none may begin anew."""

    ENDED = "ended"
    """The job has ended. Nothing of it may be stored any more."""


@dataclass(frozen=True)
class JobRun:
    """One run of a job; `number` counts from 1."""

    job_id: str
    number: int


class JobMarks:
    """Marks of jobs, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, run: JobRun) -> bool:
        """Mark that a run begins; False, and unchanged, if the job has come further before."""
        return self._write(run, MarkState.BEGUN)

    def answer(self, run: JobRun) -> None:
        """Mark that Garmin has answered the run, unless a later one has begun."""
        self._write(run, MarkState.ANSWERED)

    def end(self, run: JobRun) -> bool:
        """Mark that the run ends its job; False, and unchanged, if it is no longer its to end."""
        return self._write(run, MarkState.ENDED)

    def end_all(self, job_ids: Iterable[str]) -> None:
        """Mark jobs that have ended, whichever run ended them."""
        ids = sorted(set(job_ids))
        if ids:
            now = database_now(self._session)
            changing: dict[str, Any] = {"state": MarkState.ENDED, "at": now}
            rows = [{"job_id": job_id, "run": 0, **changing} for job_id in ids]
            ended = insert_or(dialect(self._session), JobMark).on_conflict_do_update(
                index_elements=["job_id"], set_=changing
            )
            self._session.execute(ended, rows)

    def delete_older_than(self, moment: datetime, limit: int) -> int:
        """Delete up to `limit` marks; return how many."""
        return delete_some(self._session, JobMark.job_id, JobMark.at < moment, limit)

    def _write(self, run: JobRun, state: MarkState) -> bool:
        """Add the job's mark, or move it forwards; return whether it is written."""
        statement = _writing(dialect(self._session), begins=state is MarkState.BEGUN)
        mark = {"job_id": run.job_id, "run": run.number, "state": state}
        return self._session.execute(statement, mark).first() is not None


@cache
def _writing(dialect: str, *, begins: bool) -> Executable:
    """A mark that begins a run is written after an earlier run's; others until the job ends."""
    statement = insert_or(dialect, JobMark).values(
        {name: bindparam(name) for name in ("job_id", "run", "state")} | {"at": utc_now()}
    )
    new = statement.excluded
    if begins:
        allowed = and_(JobMark.run < new.run, JobMark.state == MarkState.BEGUN)
    else:
        allowed = and_(JobMark.run <= new.run, JobMark.state != MarkState.ENDED)
    changing: dict[str, Any] = {"run": new.run, "state": new.state, "at": utc_now()}
    return statement.on_conflict_do_update(
        index_elements=["job_id"], set_=changing, where=allowed
    ).returning(JobMark.job_id)
