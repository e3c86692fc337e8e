"""What is recorded of a job's end also marks the job, so that it is not run again."""

import uuid

import pytest

from shared.audit.delivery import deliver
from shared.audit.outbox import EventOutbox
from shared.database.engine import Database
from shared.database.job_marks import JobMarks, JobRun
from shared.jobs import events
from shared.jobs.states import JobKind, Outcome
from shared.origin import UNKNOWN
from shared.redis.connection import Redis
from tests.shared.jobs.outcomes import CODE_REQUIRED, REFUSED, SUCCESS, WRONG_CODE


def may_begin(database: Database, job_id: str) -> bool:
    return database.run(lambda session: JobMarks(session).begin(JobRun(job_id, 1)))


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (JobKind.LOGIN, SUCCESS),
        (JobKind.LOGIN, CODE_REQUIRED),
        (JobKind.LOGIN, REFUSED),
        (JobKind.MFA_COMPLETION, SUCCESS),
        (JobKind.MFA_COMPLETION, WRONG_CODE),
        (JobKind.MFA_COMPLETION, REFUSED),
    ],
)
def test_the_event_of_a_jobs_end_marks_the_job(
    redis: Redis, database: Database, kind: JobKind, outcome: Outcome
) -> None:
    job_id = str(uuid.uuid4())
    event = events.ended(job_id, kind, outcome, UNKNOWN)
    assert event is not None
    outbox = EventOutbox(redis)
    for _ in range(2):  # it may be delivered twice
        outbox.add(event)
        deliver(outbox, database)
    assert not may_begin(database, job_id)


def test_the_event_of_a_submission_marks_nothing(redis: Redis, database: Database) -> None:
    job_id = str(uuid.uuid4())
    event = events.requested(job_id, JobKind.LOGIN, UNKNOWN)
    assert event is not None
    EventOutbox(redis).add(event)
    assert deliver(EventOutbox(redis), database) == 1
    assert may_begin(database, job_id)
