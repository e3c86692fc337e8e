"""Jobs as their pollers see them."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.tokens import token_hash
from shared.errors import InternalJobError, JobNotFoundError, SealBrokenError
from shared.jobs.keys import subject
from shared.jobs.kinds import KINDS
from shared.jobs.states import (
    OUTCOME_TYPES,
    Failure,
    JobCancelledError,
    JobKind,
    JobStage,
    JobStatus,
    PolledOutcome,
)

_NAMES = ("poll_hash", "origin", "kind", "status", "stage", "cancelled")
VIEWED = (*_NAMES, "outcome")
"""The fields of a job that its view is made of."""


@dataclass(frozen=True)
class JobView:
    """A job as its poller sees it. `outcome` is there when it has ended.

    `kind` is a plain text where only a newer version knows it.
    """

    job_id: str
    kind: JobKind | str
    status: JobStatus
    stage: JobStage
    outcome: PolledOutcome | None


def named(names: Sequence[str], values: Sequence[bytes | None]) -> dict[str, bytes]:
    """Return what HMGET has answered by name, empty where there is nothing."""
    return {name: value or b"" for name, value in zip(names, values, strict=True)}


def view_job(
    keyring: Keyring, job_id: str, poll_token: str, fields: Mapping[str, bytes]
) -> JobView:
    """Return the job that Redis has `fields` of, for who holds its poll token.

    Raises JobNotFoundError otherwise.
    """
    text = {name: fields.get(name, b"").decode(errors="replace") for name in _NAMES}
    if not hmac.compare_digest(text["poll_hash"].encode(), token_hash(poll_token).encode()):
        raise JobNotFoundError
    kind = _known(JobKind, text["kind"])
    status = _known(JobStatus, text["status"]) or JobStatus.FAILED
    outcome: PolledOutcome | None = None
    if text["cancelled"]:
        status, outcome = JobStatus.FAILED, Failure.of(JobCancelledError())
    elif status.ended:
        bound_to = subject(job_id, text["poll_hash"], text["origin"])
        try:
            revealed = keyring.open(fields.get("outcome", b""), Purpose.JOB_OUTCOME, bound_to)
            outcome = OUTCOME_TYPES[status].from_revealed(revealed)
        except (SealBrokenError, ValidationError):
            # Its key was dropped, it is another job's or an unknown version's, or it was changed.
            status, outcome = JobStatus.FAILED, Failure.of(InternalJobError())
    return JobView(
        job_id=job_id,
        kind=kind or text["kind"],
        status=status,
        stage=_known(JobStage, text["stage"]) or _likely_stage(status, kind),
        outcome=outcome,
    )


def _known[E: StrEnum](names: type[E], text: str) -> E | None:
    """Return the name that `text` is; None where only a newer version knows it."""
    return names(text) if text in names else None


def _likely_stage(status: JobStatus, kind: JobKind | None) -> JobStage:
    if status is JobStatus.QUEUED:
        return JobStage.WAITING_FOR_WORKER
    return KINDS[kind].first_stage if kind else JobStage.CONTACTING_GARMIN
