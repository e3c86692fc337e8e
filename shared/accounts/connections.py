"""Which Garmin account belongs to which id that an app has for its own people."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from shared.accounts.tokens import GarminLink, garmin_link
from shared.database.models import ClientLink, GarminToken, User
from shared.errors import LinkNotFoundError


@dataclass(frozen=True)
class ConnectionView:
    """Whose Garmin account it is; `garmin` is None when the tokens have run out."""

    user_id: uuid.UUID
    display_name: str
    garmin: GarminLink | None


class ConnectionRepository:
    """Links, within the caller's transaction. They end with the tokens they lead to."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def save(
        self, client_id: uuid.UUID, client_user_id: str, user_id: uuid.UUID
    ) -> uuid.UUID | None:
        """Links the tokens of `user_id`. Returns whose were linked before, if another's."""
        now = datetime.now(UTC)
        row = self._session.get(ClientLink, (client_id, client_user_id), with_for_update=True)
        if row is None:
            row = ClientLink(client_id=client_id, client_user_id=client_user_id, created_at=now)
            self._session.add(row)
        before: uuid.UUID | None = row.user_id
        row.user_id = user_id
        row.updated_at = now
        self._session.flush()
        return before if before != user_id else None

    def view(self, client_id: uuid.UUID, client_user_id: str) -> ConnectionView:
        """What may be told of the linked account. Raises LinkNotFoundError."""
        row = self._session.execute(
            select(User, GarminToken)
            .join(GarminToken, GarminToken.user_id == User.id)
            .join(ClientLink, ClientLink.user_id == User.id)
            .where(ClientLink.client_id == client_id, ClientLink.client_user_id == client_user_id)
        ).one_or_none()
        if row is None:
            raise LinkNotFoundError
        user, token = row
        return ConnectionView(user.id, user.display_name, garmin_link(user, token))

    def delete(self, client_id: uuid.UUID, client_user_id: str, user_id: uuid.UUID) -> None:
        """Deletes the link to this person. Raises LinkNotFoundError."""
        deleted = self._session.execute(
            delete(ClientLink)
            .where(
                ClientLink.client_id == client_id,
                ClientLink.client_user_id == client_user_id,
                ClientLink.user_id == user_id,
            )
            .returning(ClientLink.user_id)
        )
        if deleted.first() is None:
            raise LinkNotFoundError

    def count(self, user_id: uuid.UUID) -> int:
        """How many links lead to a person's tokens."""
        counted = select(func.count()).where(ClientLink.user_id == user_id)
        return self._session.scalar(counted) or 0

    def of_client(self, client_id: uuid.UUID) -> Sequence[str]:
        """The ids a client has linked."""
        linked = select(ClientLink.client_user_id).where(ClientLink.client_id == client_id)
        return self._session.scalars(linked).all()
