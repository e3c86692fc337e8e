"""What the audit log is told of a job: that it was asked for, and how it ended."""

import uuid

from shared.audit.events import Event, EventKind
from shared.jobs.states import CodeRequested, Failure, JobErrorCode, JobKind, Outcome, Success
from shared.origin import Origin

_REQUESTED = {
    JobKind.LOGIN: EventKind.SIGN_IN_REQUESTED,
    JobKind.MFA_COMPLETION: EventKind.CODE_SUBMITTED,
}


def requested(job_id: str, kind: JobKind, origin: Origin) -> Event:
    return Event.of(_REQUESTED[kind], origin, job_id=job_id)


def ended(job_id: str, outcome: Outcome, origin: Origin) -> Event:
    match outcome:
        case Success():
            return Event.of(
                EventKind.SIGNED_IN,
                origin,
                user_id=uuid.UUID(outcome.user_id),
                session_id=uuid.UUID(outcome.session_id),
                job_id=job_id,
            )
        case CodeRequested():
            kind, how = EventKind.CODE_REQUESTED, outcome.mfa_type
        case Failure(code=JobErrorCode.MFA_CODE_INVALID):
            kind, how = EventKind.CODE_WRONG, str(outcome.code)
        case Failure():
            kind, how = EventKind.SIGN_IN_FAILED, str(outcome.code)
    return Event.of(kind, origin, how, job_id=job_id)
