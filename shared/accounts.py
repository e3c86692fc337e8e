"""A finished sign-in, stored in one transaction: the person, their tokens, their session."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database import Database
from shared.garmin import GarminDomain, GarminIdentity, GarminTokens
from shared.models import User
from shared.sealing import Keyring
from shared.sessions import SessionRepository
from shared.tokens import TokenRepository


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
    ) -> StoredSignIn:
        """Stores user, tokens and session, all or nothing. Repeating it changes nothing more.

        Raises ServiceUnavailableError when the database is away.
        """

        def work(session: Session) -> StoredSignIn:
            user = _find_or_add(session, identity, tokens.domain)
            TokenRepository(session, self._keyring).save(user.id, tokens)
            expires_at = SessionRepository(session).open(
                session_id, user.id, access_token.get_secret_value(), self._session_lifetime
            )
            return StoredSignIn(user.id, user.display_name, expires_at)

        return self._database.run(work)


def _find_or_add(session: Session, identity: GarminIdentity, domain: GarminDomain) -> User:
    now = datetime.now(UTC)
    user = session.execute(
        select(User)
        .where(User.domain == domain, User.garmin_guid == identity.guid)
        .with_for_update()
    ).scalar_one_or_none()
    if user is None:
        user = User(id=uuid.uuid4(), garmin_guid=identity.guid, domain=domain, created_at=now)
        session.add(user)
    user.display_name = identity.display_name
    user.updated_at = now
    session.flush()
    return user
