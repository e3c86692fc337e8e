"""Users, as the operator sees them: who they are, and what is stored of them."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from shared.accounts.sessions import IDLE_SECONDS, SessionRepository
from shared.accounts.tokens import TokenInfo, token_info
from shared.database.models import ApiClient, ClientLink, GarminToken, User
from shared.errors import FitTrackError


class UserNotFoundError(FitTrackError):
    """There is no user with this id."""


@dataclass(frozen=True)
class LinkView:
    """An app's connection to a user."""

    app: str
    client_user_id: str
    since: datetime


@dataclass(frozen=True)
class UserView:
    """`tokens` are described, not opened. `sessions` is how many have not ended."""

    user_id: uuid.UUID
    domain: str
    display_name: str
    garmin_display_name: str | None
    created_at: datetime
    updated_at: datetime
    tokens: Sequence[TokenInfo]
    links: Sequence[LinkView]
    sessions: int


class UserRepository:
    """Users, within the caller's transaction. A session unused for `idle` seconds has ended."""

    def __init__(self, session: Session, idle: int = IDLE_SECONDS) -> None:
        self._session = session
        self._idle = idle

    def page(self, limit: int, after: uuid.UUID | None = None) -> Sequence[UserView]:
        """Return up to `limit` users, in the order of their ids, those after `after`."""
        query = select(User).order_by(User.id).limit(limit)
        if after is not None:
            query = query.where(User.id > after)
        return self._views(self._session.scalars(query).all())

    def view(self, user_id: uuid.UUID) -> UserView:
        """Raise UserNotFoundError if there is no such user."""
        user = self._session.get(User, user_id)
        if user is None:
            raise UserNotFoundError
        return self._views([user])[0]

    def lock(self, user_id: uuid.UUID) -> User:
        """Return the user, whom no sign-in changes until commit. Raises UserNotFoundError."""
        user = self._session.scalar(select(User).where(User.id == user_id).with_for_update())
        if user is None:
            raise UserNotFoundError
        return user

    def delete(self, user_id: uuid.UUID) -> None:
        """Delete the user, and with it tokens, connections and sessions."""
        self._session.execute(delete(User).where(User.id == user_id))

    def _views(self, users: Sequence[User]) -> list[UserView]:
        by_id = {user.id: user for user in users}
        tokens, links = self._tokens(by_id), self._links(list(by_id))
        sessions = SessionRepository(self._session, self._idle).count_valid(by_id)
        return [
            UserView(
                user_id=user.id,
                domain=user.domain,
                display_name=user.display_name,
                garmin_display_name=user.garmin_display_name,
                created_at=user.created_at,
                updated_at=user.updated_at,
                tokens=tokens[user.id],
                links=links[user.id],
                sessions=sessions[user.id],
            )
            for user in users
        ]

    def _tokens(self, users: dict[uuid.UUID, User]) -> dict[uuid.UUID, list[TokenInfo]]:
        query = select(GarminToken).where(GarminToken.user_id.in_(users))
        tokens: defaultdict[uuid.UUID, list[TokenInfo]] = defaultdict(list)
        for token in self._session.scalars(query.order_by(GarminToken.access.desc())):
            tokens[token.user_id].append(token_info(users[token.user_id], token))
        return tokens

    def _links(self, user_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[LinkView]]:
        query = (
            select(GarminToken.user_id, ApiClient.name, ClientLink)
            .join(ClientLink, ClientLink.token_id == GarminToken.id)
            .join(ApiClient, ApiClient.id == ClientLink.client_id)
            .where(GarminToken.user_id.in_(user_ids))
            .order_by(ApiClient.name, ClientLink.client_user_id)
        )
        links: defaultdict[uuid.UUID, list[LinkView]] = defaultdict(list)
        for user_id, name, link in self._session.execute(query):
            links[user_id].append(LinkView(name, link.client_user_id, link.created_at))
        return links
