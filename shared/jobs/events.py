"""The audit events of a job: requested, and ended."""

import uuid

from shared.audit.events import Event
from shared.errors import JobErrorCode
from shared.jobs.kinds import KINDS
from shared.jobs.states import CodeRequested, Failure, JobKind, Outcome, Refreshed, Success
from shared.origin import Origin


def requested(job_id: str, kind: JobKind, origin: Origin) -> Event | None:
    event = KINDS[kind].events.requested
    return None if event is None else Event.of(event, origin, job_id=job_id)


def ended(job_id: str, kind: JobKind, outcome: Outcome, origin: Origin) -> Event | None:
    events = KINDS[kind].events
    user_id = session_id = None
    match outcome:
        case Success():
            event, result = events.succeeded, "ok"
            user_id, session_id = uuid.UUID(outcome.user_id), uuid.UUID(outcome.session_id)
        case Refreshed():
            event, result = events.succeeded, outcome.driver or "not_needed"
            user_id = None if outcome.user_id is None else uuid.UUID(outcome.user_id)
        case CodeRequested():
            event, result = events.code_requested, outcome.mfa_type
        case Failure(code=JobErrorCode.MFA_CODE_INVALID):
            event, result = events.code_wrong, str(outcome.code)
        case Failure():
            event, result = events.failed, str(outcome.code)
    if event is None:
        return None
    return Event.of(event, origin, result, user_id=user_id, session_id=session_id, job_id=job_id)
