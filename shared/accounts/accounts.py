"""Store a finished sign-in: user, Garmin tokens, connection and session; and disconnect again."""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.accounts.clients import ClientRepository
from shared.accounts.connections import ConnectionRepository
from shared.accounts.sessions import SessionRepository
from shared.accounts.tokens import TokenRepository
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.inserts import insert
from shared.database.models import User
from shared.errors import InterruptedSignInError, LinkNotFoundError
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from shared.origin import UNKNOWN, Origin

_NO_NAME = "Garmin user"


@dataclass(frozen=True)
class StoredSignIn:
    user_id: uuid.UUID
    display_name: str
    session_expires_at: datetime


class Accounts:
    def __init__(self, database: Database, keyring: Keyring, session_ttl: int) -> None:
        self._database = database
        self._keyring = keyring
        self._session_lifetime = timedelta(seconds=session_ttl)

    def store(
        self,
        identity: GarminIdentity,
        tokens: GarminTokens,
        session_id: uuid.UUID,
        access_token: SecretStr,
        origin: Origin = UNKNOWN,
    ) -> StoredSignIn:
        """Store user, tokens, connection and session in one transaction.

        Idempotent: a second call with the same `session_id` changes nothing. Raises
        ServiceUnavailableError if the database does not answer, InterruptedSignInError if the app
        that requested the sign-in has been removed.
        """

        def work(session: Session) -> StoredSignIn:
            client_id = origin.client_id
            # The lock keeps the app from being removed while one of its sign-ins is stored.
            if client_id is not None and not ClientRepository(session).lock(client_id):
                raise InterruptedSignInError
            user_id, display_name = _save_user(session, identity, tokens.domain)
            sessions = SessionRepository(session)
            expires_at = sessions.expiry(session_id)
            if expires_at is None:
                self._save(session, user_id, tokens, origin)
                expires_at = sessions.open(
                    session_id,
                    user_id,
                    access_token.get_secret_value(),
                    self._session_lifetime,
                    origin,
                )
            return StoredSignIn(user_id, display_name, expires_at)

        return self._database.run(work)

    def _save(
        self, session: Session, user_id: uuid.UUID, tokens: GarminTokens, origin: Origin
    ) -> None:
        TokenRepository(session, self._keyring).save(user_id, tokens)
        stored = Event.of(EventKind.TOKENS_STORED, origin, tokens.driver, user_id=user_id)
        EventLog(session).append(stored)
        if origin.client_id is not None and origin.client_user_id is not None:
            connections = ConnectionRepository(session)
            previous = connections.save(origin.client_id, origin.client_user_id, user_id)
            if previous is not None:
                self._after_disconnect(session, previous, origin)

    def unlink_user(self, session: Session, user_id: uuid.UUID, origin: Origin) -> None:
        """Delete the user's tokens and connections; end all of their sessions."""
        _lock_user(session, user_id)
        SessionRepository(session).end_unlinked(user_id, origin)
        self._delete_tokens(session, user_id, origin)

    def unlink_client_user(self, session: Session, client_user_id: str, origin: Origin) -> None:
        """Delete one connection of the app in `origin`.

        If it was the user's last, delete their tokens and end all of their sessions too. Raises
        LinkNotFoundError.
        """
        assert origin.client_id is not None  # noqa: S101 - for the type checker
        connections = ConnectionRepository(session)
        user_id = connections.view(origin.client_id, client_user_id).user_id
        _lock_user(session, user_id)
        connections.delete(origin.client_id, client_user_id, user_id)
        self._after_disconnect(session, user_id, origin)

    def unlink_client(self, session: Session, origin: Origin) -> int:
        """Delete every connection of the app in `origin`; return how many there were."""
        assert origin.client_id is not None  # noqa: S101 - for the type checker
        deleted = 0
        for client_user_id in ConnectionRepository(session).user_ids(origin.client_id):
            with suppress(LinkNotFoundError):  # the user disconnected meanwhile
                self.unlink_client_user(session, client_user_id, origin)
                deleted += 1
        return deleted

    def _after_disconnect(self, session: Session, user_id: uuid.UUID, origin: Origin) -> None:
        """Delete the tokens with their last connection; until then, end the app's sessions only."""
        _lock_user(session, user_id)
        if ConnectionRepository(session).count(user_id):
            SessionRepository(session).end_unlinked(user_id, origin, origin.client_id)
        else:
            self.unlink_user(session, user_id, origin)

    def _delete_tokens(self, session: Session, user_id: uuid.UUID, origin: Origin) -> None:
        if TokenRepository(session, self._keyring).delete(user_id):
            event = Event.of(EventKind.TOKENS_DELETED, origin, user_id=user_id)
            EventLog(session).append(event)


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
    changing: dict[str, object] = {"updated_at": now}
    if identity.display_name is not None:
        changing["display_name"] = identity.display_name
    saved = session.execute(
        insert(session, User)
        .values(
            id=uuid.uuid4(),
            garmin_guid=identity.guid,
            domain=domain,
            created_at=now,
            **{"display_name": _NO_NAME, **changing},
        )
        .on_conflict_do_update(index_elements=["domain", "garmin_guid"], set_=changing)
        .returning(User.id, User.display_name)
    )
    user_id, display_name = saved.one()
    return user_id, display_name
