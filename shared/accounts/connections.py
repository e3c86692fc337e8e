"""Connections: the Garmin accounts that apps have linked to their own user ids."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, delete, func, select, tuple_
from sqlalchemy.orm import Session

from shared.accounts.states import EXPIRING, ROTATING, ConnectionState
from shared.accounts.tokens import TokenInfo, token_info
from shared.database.models import ClientLink, GarminToken, User
from shared.errors import LinkNotFoundError

type ConnectionKey = tuple[uuid.UUID, str]
"""The app, and its own id of the user."""


@dataclass(frozen=True)
class ConnectionView:
    """The Garmin account behind a connection of an app's user."""

    client_id: uuid.UUID
    client_user_id: str
    token_id: uuid.UUID
    user_id: uuid.UUID
    display_name: str
    garmin: TokenInfo

    @property
    def key(self) -> ConnectionKey:
        return self.client_id, self.client_user_id


@dataclass(frozen=True)
class ConnectionPage:
    """Some connections. `next_after`: what the next page comes after; None if this is the last."""

    connections: Sequence[ConnectionView]
    next_after: ConnectionKey | None


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
        mine = (ClientLink.client_id == client_id, ClientLink.client_user_id == client_user_id)
        row = self._session.execute(_connections().where(*mine)).one_or_none()
        if row is None:
            raise LinkNotFoundError
        return _view(*row)

    def page(
        self,
        limit: int,
        after: ConnectionKey | None = None,
        client_id: uuid.UUID | None = None,
        state: ConnectionState | None = None,
    ) -> ConnectionPage:
        """Return up to `limit` connections after `after`: one app's, or all; those in a state.

        They come in the order of the primary key: one that is added or removed meanwhile moves
        no other to another page.
        """
        key = tuple_(ClientLink.client_id, ClientLink.client_user_id)
        query = _connections()
        if after is not None:
            query = query.where(key > after)
        if client_id is not None:
            query = query.where(ClientLink.client_id == client_id)
        if state is not None:
            query = query.where(_has_state(state, datetime.now(UTC)))
        query = query.order_by(ClientLink.client_id, ClientLink.client_user_id).limit(limit + 1)
        rows = self._session.execute(query).all()
        views = [_view(*row) for row in rows[:limit]]
        return ConnectionPage(views, views[-1].key if len(rows) > limit else None)

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


def _connections() -> "Select[ClientLink, User, GarminToken]":
    return (
        select(ClientLink, User, GarminToken)
        .join(GarminToken, GarminToken.id == ClientLink.token_id)
        .join(User, User.id == GarminToken.user_id)
    )


def _view(link: ClientLink, user: User, token: GarminToken) -> ConnectionView:
    return ConnectionView(
        client_id=link.client_id,
        client_user_id=link.client_user_id,
        token_id=token.id,
        user_id=user.id,
        display_name=user.display_name,
        garmin=token_info(user, token),
    )


def _has_state(state: ConnectionState, now: datetime) -> ColumnElement[bool]:
    """Select the rows for which `current_standing` says so."""
    ends_at = GarminToken.refresh_expires_at
    over = (GarminToken.state == ConnectionState.SIGN_IN_REQUIRED) | (ends_at <= now)
    if state is ConnectionState.SIGN_IN_REQUIRED:
        return over
    expiring = GarminToken.driver.not_in(ROTATING) & (ends_at < now + EXPIRING)
    return ~over & (expiring if state is ConnectionState.EXPIRING else ~expiring)
