"""User sessions, each opened by a sign-in and identified by an access token of this service."""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlalchemy.orm import Session

from shared.accounts.tokens import TokenInfo, best_token_of, token_info
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.tokens import token_hash
from shared.database.clock import utc_now
from shared.database.deletes import delete_some
from shared.database.inserts import insert_rows
from shared.database.models import GarminToken, User, UserSession
from shared.errors import UnauthorizedError
from shared.origin import UNKNOWN, Origin

IDLE_SECONDS = 7 * 86_400
_TOUCH_INTERVAL = timedelta(minutes=1)

_EXPIRY = select(
    select(UserSession.expires_at)
    .where(UserSession.id == bindparam("session_id"))
    .scalar_subquery(),
    utc_now(),
)


@dataclass(frozen=True)
class SessionView:
    """A valid session; `garmin` is None if the user has no Garmin tokens.

    `client_id` is the app that opened it, if one has.
    """

    session_id: uuid.UUID
    user_id: uuid.UUID
    client_id: uuid.UUID | None
    display_name: str
    created_at: datetime
    expires_at: datetime
    garmin: TokenInfo | None


class SessionRepository:
    """Sessions, within the caller's transaction. One that is unused for `idle` seconds ends."""

    def __init__(self, session: Session, idle: int = IDLE_SECONDS) -> None:
        self._session = session
        self._idle = timedelta(seconds=idle)

    def expiry(self, session_id: uuid.UUID) -> tuple[datetime | None, datetime]:
        """Return when the session expires, None if there is no such session; and the time."""
        row = self._session.execute(_EXPIRY, {"session_id": session_id}).one()
        return row[0], row[1]

    def open(
        self,
        session_id: uuid.UUID,
        user_id: uuid.UUID,
        access_token: str,
        now: datetime,
        lifetime: timedelta,
        origin: Origin = UNKNOWN,
        also: Sequence[Event] = (),
    ) -> datetime:
        """Open a session; return when it expires at the latest. `also`: what else is recorded."""
        expires_at = now + lifetime
        row = {
            "id": session_id,
            "user_id": user_id,
            "client_id": origin.client_id,
            "token_hash": token_hash(access_token),
            "created_at": now,
            "last_seen_at": now,
            "expires_at": expires_at,
        }
        insert_rows(self._session, UserSession, row)
        event = Event.of(EventKind.SESSION_OPENED, origin, user_id=user_id, session_id=session_id)
        EventLog(self._session).append(*also, event)
        return expires_at

    def find(self, access_token: str) -> SessionView:
        """Return the session of an access token and note that it was used.

        Raises UnauthorizedError if the token is unknown or its session has ended.
        """
        row = self._session.execute(
            select(UserSession, User, GarminToken, utc_now())
            .join(User, User.id == UserSession.user_id)
            .outerjoin(GarminToken, GarminToken.id == best_token_of(User.id))
            .where(
                # A lookup by hash: its duration reveals nothing about the token.
                UserSession.token_hash == token_hash(access_token),
                UserSession.revoked_at.is_(None),
            )
        ).one_or_none()
        if row is None or not self._goes_on(row[0], row[3]):
            raise UnauthorizedError
        session, user, token, now = row
        self._touch(session, now)
        return SessionView(
            session_id=session.id,
            user_id=user.id,
            client_id=session.client_id,
            display_name=user.display_name,
            created_at=session.created_at,
            expires_at=session.expires_at,
            garmin=None if token is None else token_info(user, token),
        )

    def any_valid(self, user_id: uuid.UUID) -> bool:
        """Return whether the user has a session that has not ended."""
        return bool(self.count_valid([user_id]))

    def count_valid(self, user_ids: Iterable[uuid.UUID]) -> Counter[uuid.UUID]:
        """Return how many sessions each user has that have not ended."""
        query = select(UserSession, utc_now()).where(
            UserSession.user_id.in_(user_ids), UserSession.revoked_at.is_(None)
        )
        rows = self._session.execute(query)
        return Counter(row.user_id for row, now in rows if self._goes_on(row, now))

    def users_of(self, client_id: uuid.UUID) -> Sequence[uuid.UUID]:
        """Return the users with sessions that a client opened and nobody has ended."""
        query = select(UserSession.user_id).distinct()
        of_client = UserSession.client_id == client_id
        return self._session.scalars(
            query.where(of_client, UserSession.revoked_at.is_(None)).order_by(UserSession.user_id)
        ).all()

    def end(self, session_id: uuid.UUID, origin: Origin = UNKNOWN) -> None:
        """Log out of one session."""
        self._revoke(UserSession.id == session_id, origin, "log_out")

    def end_all(self, user_id: uuid.UUID, origin: Origin = UNKNOWN) -> None:
        """Log a user out of all sessions."""
        self._revoke(UserSession.user_id == user_id, origin, "log_out_everywhere")

    def end_unlinked(
        self, user_id: uuid.UUID, origin: Origin, client_id: uuid.UUID | None = None
    ) -> None:
        """End a disconnected user's sessions: all, or those that one client opened."""
        condition = UserSession.user_id == user_id
        if client_id is not None:
            condition &= UserSession.client_id == client_id
        self._revoke(condition, origin, "unlinked")

    def delete_ended_before(self, moment: datetime, limit: int) -> int:
        """Delete up to `limit` sessions that ended before `moment`; return how many."""
        ended = (
            (UserSession.expires_at < moment)
            | (UserSession.revoked_at < moment)
            | (UserSession.last_seen_at < moment - self._idle)
        )
        return delete_some(self._session, UserSession.id, ended, limit)

    def _goes_on(self, session: UserSession, now: datetime) -> bool:
        return session.expires_at > now and session.last_seen_at > now - self._idle

    def _touch(self, session: UserSession, now: datetime) -> None:
        # At most one write a minute, also where several requests arrive at once.
        stale = now - min(_TOUCH_INTERVAL, self._idle / 4)
        if session.last_seen_at > stale:
            return
        self._session.execute(
            update(UserSession)
            .where(UserSession.id == session.id, UserSession.last_seen_at <= stale)
            .values(last_seen_at=now)
        )

    def _revoke(self, condition: ColumnElement[bool], origin: Origin, reason: str) -> None:
        ended = self._session.execute(
            update(UserSession)
            .where(condition, UserSession.revoked_at.is_(None))
            .values(revoked_at=utc_now())
            .returning(UserSession.id, UserSession.user_id)
        ).all()
        events = [
            Event.of(
                EventKind.SESSION_ENDED, origin, reason, user_id=user_id, session_id=session_id
            )
            for session_id, user_id in ended
        ]
        EventLog(self._session).append(*events)
