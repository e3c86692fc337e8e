"""The steps of a connect session: opened, a job begun and ended, cancelled."""

from datetime import UTC, datetime
from typing import assert_never

from shared.audit.events import Event, EventKind
from shared.connect.errors import ConnectSessionEndedError
from shared.connect.session import Attempt, Code, ConnectedUser, ConnectError, ConnectSession
from shared.connect.store import Kept
from shared.errors import InterruptedSignInError, SignInExpiredError, SignInInProgressError
from shared.jobs.states import CodeRequested, Failure, PolledOutcome, Success
from shared.origin import Origin

_RUNNING_RETRY = 2

Changed = tuple[ConnectSession, Event | None]


def origin_of(session: ConnectSession, sender: Origin) -> Origin:
    """Return the origin of what a person does in a session: the app's, from their address."""
    of_app = {"client_id": session.app.client_id, "client_user_id": session.wish.user_id}
    return sender.model_copy(update=of_app)


def opened(kept: Kept, sender: Origin) -> Changed:
    session = kept.session
    if session.opened:
        return session, None
    event = Event.of(EventKind.CONNECT_OPENED, origin_of(session, sender))
    return session.model_copy(update={"opened": True}), event


def begun(kept: Kept, attempt: Attempt) -> Changed:
    """Write down a job before it is submitted.

    Raises ConnectSessionEndedError; SignInInProgressError while another one runs.
    """
    _check_idle(kept)
    return kept.session.model_copy(update={"attempt": attempt}), None


def withdrawn(kept: Kept, attempt: Attempt) -> Changed:
    """Forget a job that was not submitted."""
    session = kept.session
    if session.attempt != attempt:
        return session, None
    return session.model_copy(update={"attempt": None}), None


def restarted(kept: Kept) -> Changed:
    """Go back to where the person chooses how to connect. Raises what `begun` raises."""
    _check_idle(kept)
    return kept.session.model_copy(update={"code": None, "error": None}), None


def cancelled(kept: Kept, sender: Origin) -> Changed:
    """Raise what `begun` raises."""
    if kept.session.cancelled:
        return kept.session, None
    _check_idle(kept)
    event = Event.of(EventKind.CONNECT_CANCELLED, origin_of(kept.session, sender))
    return kept.session.model_copy(update={"cancelled": True, "code": None}), event


def code_expired(kept: Kept) -> Changed:
    """End a challenge that Redis no longer has."""
    session = kept.session
    if session.code is None or session.attempt is not None:
        return session, None
    return _failed(kept, Failure.of(SignInExpiredError()), origin_of(session, Origin()))


def ended(kept: Kept, attempt: Attempt, outcome: PolledOutcome | None) -> Changed:
    """Write down how a job ended; None: it is gone, and nobody knows how."""
    session = kept.session
    if session.attempt != attempt:
        return session, None
    match outcome:
        case CodeRequested():
            done = {"attempt": None, "code": _code(kept, outcome), "error": None}
            return session.model_copy(update=done), None
        case Success():
            user = ConnectedUser(id=outcome.user_id, display_name=outcome.display_name)
            return connected(kept, attempt, user)
        case Failure():
            return _failed(kept, outcome, attempt.origin)
        case None:
            return _failed(kept, Failure.of(InterruptedSignInError()), attempt.origin)
        case _:
            assert_never(outcome)


def connected(kept: Kept, attempt: Attempt, user: ConnectedUser) -> Changed:
    """End the session. Its secrets are not kept."""
    session = kept.session
    if session.attempt != attempt:
        return session, None
    done = {"attempt": None, "code": None, "error": None, "user": user}
    event = Event.of(EventKind.CONNECT_CONNECTED, attempt.origin, job_id=attempt.job_id)
    return session.model_copy(update=done), event


def _check_idle(kept: Kept) -> None:
    if kept.session.has_ended(kept.now):
        raise ConnectSessionEndedError
    if kept.session.attempt is not None:
        raise SignInInProgressError(_RUNNING_RETRY, kept.session.attempt.job_id)


def _code(kept: Kept, outcome: CodeRequested) -> Code:
    left = (outcome.expires_at - datetime.now(UTC)).total_seconds()
    return Code(
        challenge_id=outcome.challenge_id,
        mfa_type=outcome.mfa_type,
        mfa_destination=outcome.mfa_destination,
        sent_at=kept.now,
        expires_at=kept.now + int(left * 1000),
        attempts_left=outcome.attempts_left,
        can_resend=outcome.can_resend,
    )


def _failed(kept: Kept, failure: Failure, origin: Origin) -> Changed:
    """Keep the challenge where another code may be tried; the audit log has the others."""
    session = kept.session
    until = None if failure.retry_after is None else kept.now + failure.retry_after * 1000
    error = ConnectError(code=failure.code, message=failure.message, until=until)
    if session.code is not None and failure.challenge_id is not None:
        left = failure.attempts_left or session.code.attempts_left
        code = session.code.model_copy(update={"attempts_left": left})
        return session.model_copy(update={"attempt": None, "code": code, "error": error}), None
    event = Event.of(EventKind.CONNECT_FAILED, origin, str(failure.code))
    return session.model_copy(update={"attempt": None, "code": None, "error": error}), event
