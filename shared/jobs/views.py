"""Jobs as their pollers see them."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.tokens import token_hash
from shared.errors import InternalJobError, JobNotFoundError, SealBrokenError
from shared.jobs.keys import subject
from shared.jobs.states import OUTCOME_TYPES, Failure, JobKind, JobStage, JobStatus, Outcome


@dataclass(frozen=True)
class JobView:
    """A job as its poller sees it. `outcome` is there when it has ended."""

    job_id: str
    kind: JobKind
    status: JobStatus
    stage: JobStage
    outcome: Outcome | None


def view_job(
    keyring: Keyring, job_id: str, poll_token: str, fields: Mapping[bytes, bytes]
) -> JobView:
    """Return the job that Redis has `fields` of, for who holds its poll token.

    Raises JobNotFoundError otherwise.
    """
    expected = fields.get(b"poll_hash", b"")
    if not hmac.compare_digest(expected, token_hash(poll_token).encode()):
        raise JobNotFoundError
    status = JobStatus(fields[b"status"].decode())
    outcome: Outcome | None = None
    if status.ended:
        bound_to = subject(job_id, expected.decode())
        try:
            revealed = keyring.open(fields[b"outcome"], Purpose.JOB_OUTCOME, bound_to)
            outcome = OUTCOME_TYPES[status].from_revealed(revealed)
        except SealBrokenError:  # its key was dropped, or it is another job's
            status, outcome = JobStatus.FAILED, Failure.of(InternalJobError())
    return JobView(
        job_id=job_id,
        kind=JobKind(fields[b"kind"].decode()),
        status=status,
        stage=JobStage(fields[b"stage"].decode()),
        outcome=outcome,
    )
