"""Connections: the Garmin accounts that apps have linked to their own user ids."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from shared.accounts.tokens import TokenInfo, token_info
from shared.database.models import ClientLink, GarminToken, User
from shared.errors import LinkNotFoundError


@dataclass(frozen=True)
class ConnectionView:
    """The Garmin account behind a connection."""

    user_id: uuid.UUID
    display_name: str
    garmin: TokenInfo


class ConnectionRepository:
    """Connections, within the caller's transaction. Deleting the tokens deletes them too."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def save(
        self, client_id: uuid.UUID, client_user_id: str, token_id: uuid.UUID
    ) -> uuid.UUID | None:
        """Connect the app's user to tokens; return the user connected before, if another."""
        now = datetime.now(UTC)
        row = self._session.get(ClientLink, (client_id, client_user_id), with_for_update=True)
        if row is None:
            row = ClientLink(client_id=client_id, client_user_id=client_user_id, created_at=now)
            self._session.add(row)
        previous: uuid.UUID | None = row.token_id
        row.token_id = token_id
        row.updated_at = now
        self._session.flush()
        if previous is None or previous == token_id:
            return None
        return self._other_user(previous, token_id)

    def _other_user(self, previous: uuid.UUID, token_id: uuid.UUID) -> uuid.UUID | None:
        users = select(GarminToken.user_id)
        before = self._session.scalar(users.where(GarminToken.id == previous))
        now = self._session.scalar(users.where(GarminToken.id == token_id))
        return before if before != now else None

    def view(self, client_id: uuid.UUID, client_user_id: str) -> ConnectionView:
        """Return a connection without its tokens. Raises LinkNotFoundError."""
        row = self._session.execute(
            select(User, GarminToken)
            .join(GarminToken, GarminToken.user_id == User.id)
            .join(ClientLink, ClientLink.token_id == GarminToken.id)
            .where(ClientLink.client_id == client_id, ClientLink.client_user_id == client_user_id)
        ).one_or_none()
        if row is None:
            raise LinkNotFoundError
        user, token = row
        return ConnectionView(user.id, user.display_name, token_info(user, token))

    def connected_since(
        self, client_id: uuid.UUID, client_user_id: str, moment: datetime
    ) -> ConnectionView | None:
        """Return a connection that was made, or made again, after `moment`."""
        connected = select(ClientLink.token_id).where(
            ClientLink.client_id == client_id,
            ClientLink.client_user_id == client_user_id,
            ClientLink.updated_at >= moment,
        )
        if self._session.scalar(connected) is None:
            return None
        return self.view(client_id, client_user_id)

    def delete(self, client_id: uuid.UUID, client_user_id: str, user_id: uuid.UUID) -> None:
        """Delete the connection to `user_id`. Raises LinkNotFoundError."""
        deleted = self._session.execute(
            delete(ClientLink)
            .where(
                ClientLink.client_id == client_id,
                ClientLink.client_user_id == client_user_id,
                ClientLink.token_id.in_(
                    select(GarminToken.id).where(GarminToken.user_id == user_id)
                ),
            )
            .returning(ClientLink.token_id)
        )
        if deleted.first() is None:
            raise LinkNotFoundError

    def count(self, user_id: uuid.UUID) -> int:
        """Return how many connections a user has, over all apps."""
        query = (
            select(func.count())
            .select_from(ClientLink)
            .join(GarminToken, GarminToken.id == ClientLink.token_id)
            .where(GarminToken.user_id == user_id)
        )
        return self._session.scalar(query) or 0

    def user_ids(self, client_id: uuid.UUID) -> Sequence[str]:
        """Return the client's own ids of the users it has connected."""
        query = select(ClientLink.client_user_id).where(ClientLink.client_id == client_id)
        return self._session.scalars(query).all()
