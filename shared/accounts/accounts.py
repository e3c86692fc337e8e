"""Store a finished sign-in: user, Garmin tokens, connection and session; and disconnect again."""

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from pydantic import SecretStr
from sqlalchemy import Executable, select
from sqlalchemy.orm import Session

from shared.accounts.clients import ClientRepository
from shared.accounts.connections import ConnectionRepository
from shared.accounts.cutoffs import SignInCutoffs
from shared.accounts.identities import known_identity
from shared.accounts.sessions import IDLE_SECONDS, SessionRepository
from shared.accounts.states import Method
from shared.accounts.tokens import TokenRepository
from shared.accounts.users import UserRepository
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.inserts import dialect, insert_or
from shared.database.job_marks import JobMarks, JobRun
from shared.database.models import User
from shared.errors import InterruptedSignInError, LinkNotFoundError
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from shared.origin import UNKNOWN, Origin
from shared.webhooks.outbox import WebhookOutbox

NO_NAME = "Garmin user"
"""The display name of people whose name Garmin has not said yet."""


@dataclass(frozen=True)
class StoredSignIn:
    user_id: uuid.UUID
    display_name: str
    session_expires_at: datetime


class Accounts:
    """`session_ttl` and `session_idle` are in seconds."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        session_ttl: int,
        session_idle: int = IDLE_SECONDS,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._session_lifetime = timedelta(seconds=session_ttl)
        self._session_idle = session_idle

    def store(
        self,
        identity: GarminIdentity,
        tokens: GarminTokens,
        session_id: uuid.UUID,
        access_token: SecretStr,
        origin: Origin = UNKNOWN,
        began: float | None = None,
        run: JobRun | None = None,
        method: Method = Method.PASSWORD,
        *,
        replaces: bool = True,
    ) -> StoredSignIn:
        """Store user, tokens, connection and session in one transaction, which ends the job.

        Idempotent: a second call with the same `session_id` changes nothing. `began` is when the
        sign-in was submitted, on the monotonic clock (None: now). Raises ServiceUnavailableError if
        the database does not answer, InterruptedSignInError if the app that requested the sign-in
        has been removed, the job has ended or is a later run's, or the sign-in was ended by
        unlinking or logging out everywhere, and TokensKeptError if there are earlier tokens which
        these may not replace.
        """
        submitted = time.monotonic() if began is None else began

        def work(session: Session) -> StoredSignIn:
            client_id = origin.client_id
            # The lock keeps the app from being removed while one of its sign-ins is stored.
            if client_id is not None and not ClientRepository(session).lock(client_id):
                raise InterruptedSignInError
            person = known_identity(session, identity, tokens.domain, origin)
            user_id, display_name = _save_user(session, person, tokens.domain)
            sessions = self._sessions(session)
            expires_at, now = sessions.expiry(session_id)
            if expires_at is None:
                if run is not None and not JobMarks(session).end(run):
                    raise InterruptedSignInError
                stored = self._save(session, user_id, tokens, origin, method, replaces)
                expires_at = sessions.open(
                    session_id,
                    user_id,
                    access_token.get_secret_value(),
                    now,
                    self._session_lifetime,
                    origin,
                    also=[stored],
                )
            # Last, when every lock is held for which somebody who unlinks would have to wait.
            self._cutoffs(session).check(submitted, user_id, tokens.domain, identity.guid, origin)
            return StoredSignIn(user_id, display_name, expires_at)

        return self._database.run(work)

    def _save(
        self,
        session: Session,
        user_id: uuid.UUID,
        tokens: GarminTokens,
        origin: Origin,
        method: Method,
        replaces: bool,
    ) -> Event:
        """Store tokens and connection; return the event that is to be recorded."""
        repository = TokenRepository(session, self._keyring)
        saved = repository.save(user_id, tokens, method, replaces=replaces)
        if origin.client_id is not None and origin.client_user_id is not None:
            connections = ConnectionRepository(session)
            previous = connections.save(origin.client_id, origin.client_user_id, saved.token_id)
            if previous is not None:
                self._after_disconnect(session, previous, origin)
        WebhookOutbox(session).connected(
            saved.token_id, origin.client_id, origin.client_user_id, changed=saved.changed
        )
        return Event.of(EventKind.TOKENS_STORED, origin, tokens.driver, user_id=user_id)

    def unlink_user(self, session: Session, user_id: uuid.UUID, origin: Origin) -> None:
        """Delete the user's tokens and connections; end all of their sessions and sign-ins."""
        _lock_user(session, user_id)
        self._cutoffs(session).end_user(user_id)
        self._delete_tokens(session, user_id, origin)

    def delete_user(self, session: Session, user_id: uuid.UUID, origin: Origin) -> None:
        """Delete all that is known of a user, but for the audit log, which holds no name.

        A sign-in that is still going on does not bring the user back, nor does a refresh. Raises
        UserNotFoundError.
        """
        users = UserRepository(session)
        user = users.lock(user_id)
        self._cutoffs(session).end_identity(user.domain, user.garmin_guid)
        self.unlink_user(session, user_id, origin)
        users.delete(user_id)
        event = Event.of(EventKind.USER_DELETED, origin, user_id=user_id)
        EventLog(session).append(event)

    def log_out_everywhere(self, session: Session, user_id: uuid.UUID, origin: Origin) -> None:
        """End all of the user's sessions and sign-ins."""
        _lock_user(session, user_id)
        self._cutoffs(session).end_user(user_id)
        self._sessions(session).end_all(user_id, origin)

    def unlink_client_user(self, session: Session, client_user_id: str, origin: Origin) -> None:
        """Delete one connection of the app in `origin`; end its sessions and sign-ins of the user.

        Delete the user's tokens as well, unless another connection or a session that was opened
        without this app uses them. Raises LinkNotFoundError.
        """
        assert origin.client_id is not None  # noqa: S101 - for the type checker
        connections = ConnectionRepository(session)
        user_id = connections.view(origin.client_id, client_user_id).user_id
        _lock_user(session, user_id)
        WebhookOutbox(session).disconnected(origin.client_id, client_user_id)
        connections.delete(origin.client_id, client_user_id, user_id)
        self._cutoffs(session).end_client(origin.client_id, client_user_id, user_id)
        self._after_disconnect(session, user_id, origin)

    def unlink_client(self, session: Session, origin: Origin) -> int:
        """Delete every connection of the app in `origin`, and end its sessions.

        Return how many connections there were.
        """
        assert origin.client_id is not None  # noqa: S101 - for the type checker
        deleted = 0
        for client_user_id in ConnectionRepository(session).user_ids(origin.client_id):
            with suppress(LinkNotFoundError):  # the user disconnected meanwhile
                self.unlink_client_user(session, client_user_id, origin)
                deleted += 1
        for user_id in self._sessions(session).users_of(origin.client_id):
            self._after_disconnect(session, user_id, origin)
        return deleted

    def _after_disconnect(self, session: Session, user_id: uuid.UUID, origin: Origin) -> None:
        """End the app's sessions of a user; delete tokens that nobody else uses."""
        _lock_user(session, user_id)
        sessions = self._sessions(session)
        sessions.end_unlinked(user_id, origin, origin.client_id)
        if not ConnectionRepository(session).count(user_id) and not sessions.any_valid(user_id):
            self._delete_tokens(session, user_id, origin)

    def _delete_tokens(self, session: Session, user_id: uuid.UUID, origin: Origin) -> None:
        self._sessions(session).end_unlinked(user_id, origin)
        WebhookOutbox(session).all_disconnected(user_id)
        if TokenRepository(session, self._keyring).delete(user_id):
            event = Event.of(EventKind.TOKENS_DELETED, origin, user_id=user_id)
            EventLog(session).append(event)

    def _sessions(self, session: Session) -> SessionRepository:
        return SessionRepository(session, self._session_idle)

    def _cutoffs(self, session: Session) -> SignInCutoffs:
        return SignInCutoffs(session, self._keyring)


def _lock_user(session: Session, user_id: uuid.UUID) -> None:
    """Let one transaction at a time change a user's connections."""
    session.execute(select(User.id).where(User.id == user_id).with_for_update())


def _save_user(
    session: Session, identity: GarminIdentity, domain: GarminDomain
) -> tuple[uuid.UUID, str]:
    """Add the user, or update and lock the row; return its id and display name.

    A person without a name keeps the one that is stored, else gets one that says nothing.
    """
    now = datetime.now(UTC)
    names = {
        "display_name": identity.display_name,
        "garmin_display_name": identity.garmin_display_name,
    }
    known = {name: value for name, value in names.items() if value is not None}
    person = {
        "id": uuid.uuid4(),
        "garmin_guid": identity.guid,
        "domain": domain,
        "display_name": NO_NAME,
        "created_at": now,
        "updated_at": now,
        **known,
    }
    user_id, display_name = session.execute(
        _saving_user(dialect(session), tuple(known)), person
    ).one()
    return user_id, display_name


@cache
def _saving_user(dialect: str, names: tuple[str, ...]) -> Executable:
    statement = insert_or(dialect, User)
    changing = {name: statement.excluded[name] for name in ("updated_at", *names)}
    return statement.on_conflict_do_update(
        index_elements=["domain", "garmin_guid"], set_=changing
    ).returning(User.id, User.display_name)
