"""Apps that embed this service. Each has a key, of which only a hash is kept."""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.crypto.tokens import new_token, token_hash
from shared.database.models import ApiClient
from shared.errors import ClientExistsError, InvalidClientNameError, UnknownClientError

# Shorter than a key: one that is pasted in a name's place is not kept in the clear.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


@dataclass(frozen=True)
class ClientView:
    client_id: uuid.UUID
    name: str
    created_at: datetime


class ClientRepository:
    """Clients, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, name: str) -> tuple[ClientView, str]:
        """A new client and its key: 256 random bits, which can't be told again.

        Raises InvalidClientNameError, or ClientExistsError if the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise InvalidClientNameError
        if self._session.scalar(select(ApiClient.id).where(ApiClient.name == name)):
            raise ClientExistsError
        key = new_token()
        row = ApiClient(
            id=uuid.uuid4(), name=name, key_hash=token_hash(key), created_at=datetime.now(UTC)
        )
        self._session.add(row)
        self._session.flush()
        return _view(row), key

    def renew(self, name: str) -> tuple[ClientView, str]:
        """A new key; the one before is void at once. Raises UnknownClientError."""
        row, key = self._named(name), new_token()
        row.key_hash = token_hash(key)
        self._session.flush()
        return _view(row), key

    def remove(self, name: str) -> None:
        """Forgets a client, its key and its links. Raises UnknownClientError."""
        self._session.delete(self._named(name))
        self._session.flush()

    def find(self, key: str) -> ClientView:
        """The client with this key. Raises UnknownClientError."""
        # The hash of 256 random bits: how long the index looks tells nothing of the key.
        row = self._session.scalar(select(ApiClient).where(ApiClient.key_hash == token_hash(key)))
        if row is None:
            raise UnknownClientError
        return _view(row)

    def named(self, name: str) -> ClientView:
        """The client, which gets no new link until the end. Raises UnknownClientError."""
        self._session.execute(select(ApiClient.id).where(ApiClient.name == name).with_for_update())
        return _view(self._named(name))

    def hold(self, client_id: uuid.UUID) -> bool:
        """Keeps a client from being removed until the end; False if it is gone."""
        held = select(ApiClient.id).where(ApiClient.id == client_id)
        return self._session.scalar(held.with_for_update(read=True, key_share=True)) is not None

    def all(self) -> list[ClientView]:
        return [_view(row) for row in self._session.scalars(select(ApiClient).order_by("name"))]

    def _named(self, name: str) -> ApiClient:
        row = self._session.scalar(select(ApiClient).where(ApiClient.name == name))
        if row is None:
            raise UnknownClientError
        return row


def _view(row: ApiClient) -> ClientView:
    return ClientView(row.id, row.name, row.created_at)
