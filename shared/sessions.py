"""User sessions: what a client holds after a sign-in."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from shared.errors import UnauthorizedError
from shared.models import GarminToken, User, UserSession
from shared.sealing import token_hash


@dataclass(frozen=True)
class GarminLink:
    """What may be told about the Garmin tokens of a person without opening them."""

    domain: str
    driver: str
    access_expires_at: datetime
    refresh_expires_at: datetime


@dataclass(frozen=True)
class SessionView:
    """A valid session, whose it is, and the person's Garmin link if there is one."""

    session_id: uuid.UUID
    user_id: uuid.UUID
    display_name: str
    created_at: datetime
    expires_at: datetime
    garmin: GarminLink | None


class SessionRepository:
    """Sessions, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(
        self, session_id: uuid.UUID, user_id: uuid.UUID, access_token: str, lifetime: timedelta
    ) -> datetime:
        """Opens the session, or finds it opened by an earlier try. Returns when it expires."""
        existing = self._session.get(UserSession, session_id)
        if existing is not None:
            return existing.expires_at
        now = datetime.now(UTC)
        row = UserSession(
            id=session_id,
            user_id=user_id,
            token_hash=token_hash(access_token),
            created_at=now,
            last_seen_at=now,
            expires_at=now + lifetime,
        )
        self._session.add(row)
        self._session.flush()
        return row.expires_at

    def find(self, access_token: str) -> SessionView:
        """The session of an access token. Raises UnauthorizedError if it is not valid."""
        row = self._session.execute(
            select(UserSession, User, GarminToken)
            .join(User, User.id == UserSession.user_id)
            .outerjoin(GarminToken, GarminToken.user_id == User.id)
            .where(
                # The hash of 256 random bits: how long the index looks tells nothing of the token.
                UserSession.token_hash == token_hash(access_token),
                UserSession.revoked_at.is_(None),
                UserSession.expires_at > datetime.now(UTC),
            )
        ).one_or_none()
        if row is None:
            raise UnauthorizedError
        session, user, token = row
        return SessionView(
            session_id=session.id,
            user_id=user.id,
            display_name=user.display_name,
            created_at=session.created_at,
            expires_at=session.expires_at,
            garmin=_link(user, token),
        )

    def end(self, session_id: uuid.UUID) -> None:
        """Logs one session out."""
        self._revoke(UserSession.id == session_id)

    def end_all(self, user_id: uuid.UUID) -> None:
        """Logs a person out everywhere."""
        self._revoke(UserSession.user_id == user_id)

    def _revoke(self, which: ColumnElement[bool]) -> None:
        self._session.execute(
            update(UserSession)
            .where(which, UserSession.revoked_at.is_(None))
            .values(revoked_at=datetime.now(UTC))
        )


def _link(user: User, token: GarminToken | None) -> GarminLink | None:
    if token is None or token.refresh_expires_at <= datetime.now(UTC):
        return None
    return GarminLink(user.domain, token.driver, token.access_expires_at, token.refresh_expires_at)
