"""What a person does on the connect page: each step is a job, and the session tells which."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.http.bodies import bearer_token
from api.http.callers import person
from api.long_polls import allowed_wait, changed_view
from api.services import Services, services
from api.sign_ins import submit_code, submit_import, submit_login, submit_resend
from shared.accounts.clients import ClientRepository, Scope
from shared.accounts.connections import ConnectionRepository, ConnectionView
from shared.accounts.sessions import SessionRepository
from shared.connect import progress
from shared.connect.errors import ConnectSessionEndedError, ConnectSessionNotFoundError
from shared.connect.session import Attempt, Code, ConnectedUser, ConnectSession
from shared.connect.store import Kept, session_id
from shared.crypto.secret import Sealable
from shared.crypto.tokens import new_token
from shared.errors import (
    ChallengeNotFoundError,
    FitTrackError,
    JobNotFoundError,
    ScopeMissingError,
    ServiceUnavailableError,
    SubmissionUncertainError,
    UnauthorizedError,
    UnknownClientError,
)
from shared.garmin.imports import Import, ImportedKey, ImportedTokens
from shared.garmin.types import CodeResend, CodeSubmission, Credentials
from shared.jobs.states import JobKind, JobStage, PolledOutcome, Success
from shared.jobs.store import JobStore
from shared.jobs.submission import Submission
from shared.origin import Origin

_SUBMITTING = 20_000
"""How long a job may not be there yet that was written down, in ms."""


@dataclass(frozen=True)
class Progress:
    """A session, and the stage of the job that it waits for."""

    kept: Kept
    stage: JobStage | None = None

    @property
    def session(self) -> ConnectSession:
        return self.kept.session


async def session_of_page(request: Request) -> Kept:
    """Return the session whose token came with the request. Raises UnauthorizedError."""
    sessions, name = services(request).connect_sessions, session_id(bearer_token(request))
    try:
        return await run_in_threadpool(sessions.read, name)
    except ConnectSessionNotFoundError:
        raise UnauthorizedError from None


async def open_page(request: Request, kept: Kept) -> Kept:
    """Note that the person has opened the page."""
    if kept.session.opened:
        return kept
    sessions, sender = services(request).connect_sessions, person(request)
    return await run_in_threadpool(sessions.update, kept, lambda k: progress.opened(k, sender))


async def settle(
    request: Request, kept: Kept, wait: int = 0, seen: JobStage | None = None
) -> Progress:
    """Bring a session up to date with its job, for which `wait` and `seen` are as in a poll."""
    attempt = kept.session.attempt
    if attempt is None:
        return Progress(await _without_expired_code(request, kept))
    wait = allowed_wait(request, attempt.job_id, wait)
    try:
        view = await changed_view(
            request, attempt.job_id, attempt.poll_token.get_secret_value(), wait, seen
        )
    except JobNotFoundError:
        return await _without_job(request, kept, attempt)
    if wait:
        kept = await _read_again(request, kept)
    if not view.status.ended:
        return Progress(kept, view.stage)
    return Progress(await _ended(request, kept, attempt, view.outcome))


async def submit_password(request: Request, credentials: Credentials) -> Progress:
    """Sign in to Garmin. Raises what `submit_login` and `progress.begun` raise."""

    def submit(services: Services, session: ConnectSession, attempt: Attempt) -> None:
        account = services.keyring.hash_name(credentials.account)
        origin = attempt.origin.model_copy(update={"account": account})
        submission = _submission(attempt, credentials, origin)
        submit_login(services, submission, sender=_sender(origin))

    return await _begin(request, JobKind.LOGIN, submit)


async def submit_brought(request: Request, given: ImportedTokens | ImportedKey) -> Progress:
    """Import what the person has. Raises what `submit_import` and `progress.begun` raise."""

    def submit(services: Services, session: ConnectSession, attempt: Attempt) -> None:
        work = Import(given=given, domain=session.wish.domain)
        account = services.keyring.hash_name(work.name)
        origin = attempt.origin.model_copy(update={"account": account})
        submit_import(services, _submission(attempt, work, origin), sender=_sender(origin))

    return await _begin(request, JobKind.IMPORT, submit)


async def submit_one_time_code(request: Request, code: SecretStr) -> Progress:
    """Send the code. Where no challenge is open any more, the session says so."""

    def submit(services: Services, session: ConnectSession, attempt: Attempt) -> None:
        work = CodeSubmission(challenge_id=_open_code(session).challenge_id, code=code)
        submission = _submission(attempt, work, attempt.origin)
        submit_code(services, submission, sender=_sender(attempt.origin))

    return await _begin(request, JobKind.MFA_COMPLETION, submit)


async def resend_code(request: Request) -> Progress:
    """Have the code sent again. Raises what `submit_resend` and `progress.begun` raise."""

    def submit(services: Services, session: ConnectSession, attempt: Attempt) -> None:
        work = CodeResend(challenge_id=_open_code(session).challenge_id)
        submission = _submission(attempt, work, attempt.origin)
        submit_resend(services, submission, sender=_sender(attempt.origin))

    return await _begin(request, JobKind.CODE_RESEND, submit)


async def restart(request: Request) -> Progress:
    return await _change(request, progress.restarted)


async def cancel(request: Request) -> Progress:
    sender = person(request)
    return await _change(request, lambda kept: progress.cancelled(kept, sender))


async def _change(request: Request, change: Callable[[Kept], progress.Changed]) -> Progress:
    before = await settle(request, await session_of_page(request))
    sessions = services(request).connect_sessions
    return Progress(await run_in_threadpool(sessions.update, before.kept, change))


async def _begin(
    request: Request,
    kind: JobKind,
    submit: Callable[[Services, ConnectSession, Attempt], None],
) -> Progress:
    """Write the job down, then submit it: whatever happens in between, the session knows it."""
    before = (await settle(request, await session_of_page(request))).kept
    await _check_app(request, before)
    attempt = Attempt(
        job_id=JobStore.new_id(),
        poll_token=SecretStr(new_token()),
        kind=kind,
        submitted_at=before.now,
        origin=progress.origin_of(before.session, person(request)),
    )

    def work() -> Kept:
        sessions = services(request).connect_sessions
        begun = sessions.update(before, lambda kept: progress.begun(kept, attempt))
        try:
            submit(services(request), before.session, attempt)
        except SubmissionUncertainError:
            return begun
        except ChallengeNotFoundError:
            back = sessions.update(begun, lambda kept: progress.withdrawn(kept, attempt))
            return sessions.update(back, progress.code_expired)
        except FitTrackError:
            sessions.update(begun, lambda kept: progress.withdrawn(kept, attempt))
            raise
        return begun

    kept = await run_in_threadpool(work)
    return Progress(kept, JobStage.WAITING_FOR_WORKER if kept.session.attempt else None)


async def _check_app(request: Request, kept: Kept) -> None:
    """Cancel a session whose app was removed meanwhile, or may not have people sign in any more.

    Raises ConnectSessionEndedError for one.
    """
    client_id = kept.session.app.client_id
    try:
        await services(request).database.run(
            lambda session: ClientRepository(session).with_id(client_id).check(Scope.SIGN_IN)
        )
    except (UnknownClientError, ScopeMissingError):
        sessions, sender = services(request).connect_sessions, person(request)
        await run_in_threadpool(sessions.update, kept, lambda k: progress.cancelled(k, sender))
        raise ConnectSessionEndedError from None


def _submission[T: Sealable](attempt: Attempt, work: T, origin: Origin) -> Submission[T]:
    return Submission(
        attempt.kind, work, origin, job_id=attempt.job_id, poll_token=attempt.poll_token
    )


def _sender(origin: Origin) -> Origin:
    """Return whom the limits count: the person, not the app."""
    return origin.model_copy(update={"client_id": None})


def _open_code(session: ConnectSession) -> Code:
    if session.code is None:
        raise ChallengeNotFoundError
    return session.code


async def _without_expired_code(request: Request, kept: Kept) -> Kept:
    code, sessions = kept.session.code, services(request).connect_sessions
    if code is None or kept.now < code.expires_at:
        return kept
    return await run_in_threadpool(sessions.update, kept, progress.code_expired)


async def _without_job(request: Request, kept: Kept, attempt: Attempt) -> Progress:
    """Look in the database how a job ended that Redis no longer has."""
    if kept.now < attempt.submitted_at + _SUBMITTING:
        return Progress(kept, JobStage.WAITING_FOR_WORKER)
    since = datetime.fromtimestamp(attempt.submitted_at / 1000, UTC)
    app, user_id = kept.session.app.client_id, kept.session.wish.user_id

    def read(session: Session) -> ConnectionView | None:
        return ConnectionRepository(session).connected_since(app, user_id, since)

    view = await services(request).database.run(read)
    if view is None:
        return Progress(await _ended(request, kept, attempt, None))
    user = ConnectedUser(id=str(view.user_id), display_name=view.display_name)
    sessions = services(request).connect_sessions
    connected = await run_in_threadpool(
        sessions.update, kept, lambda k: progress.connected(k, attempt, user)
    )
    return Progress(connected)


async def _ended(
    request: Request, kept: Kept, attempt: Attempt, outcome: PolledOutcome | None
) -> Kept:
    sessions = services(request).connect_sessions
    kept = await run_in_threadpool(
        sessions.update, kept, lambda k: progress.ended(k, attempt, outcome)
    )
    if isinstance(outcome, Success):
        await _end_user_session(request, attempt, uuid.UUID(outcome.session_id))
    return kept


async def _end_user_session(request: Request, attempt: Attempt, session_id: uuid.UUID) -> None:
    """End the session that the sign-in has opened: nobody has its access token."""
    idle = services(request).session_idle
    with suppress(ServiceUnavailableError):
        await services(request).database.run(
            lambda session: SessionRepository(session, idle).end(session_id, attempt.origin)
        )


async def _read_again(request: Request, kept: Kept) -> Kept:
    """The wait was long, and another tab may have gone on."""
    return await run_in_threadpool(services(request).connect_sessions.read, kept.session.id)


def app_of(kept: Kept, client_id: uuid.UUID | None) -> Kept:
    """Raise ConnectSessionNotFoundError if the session is another app's."""
    if kept.session.app.client_id != client_id:
        raise ConnectSessionNotFoundError
    return kept
