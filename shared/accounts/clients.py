"""Client apps. Each has a client key, of which only the hash is stored."""

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.accounts.appearance import PLAIN, Appearance
from shared.crypto.tokens import new_token, token_hash
from shared.database.models import ApiClient
from shared.errors import (
    ClientExistsError,
    InvalidClientNameError,
    ScopeMissingError,
    UnknownClientError,
)

# Shorter than a key, so that a key pasted in place of a name is rejected and never stored.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class Scope(StrEnum):
    """What a client key may be used for."""

    SIGN_IN = "sign_in"
    CONNECTIONS = "connections"
    TOKENS = "tokens"


@dataclass(frozen=True)
class ClientView:
    client_id: uuid.UUID
    name: str
    created_at: datetime
    scopes: frozenset[Scope] = frozenset(Scope)
    appearance: Appearance = PLAIN

    def check(self, scope: Scope) -> None:
        """Raise ScopeMissingError if the key may not be used for this."""
        if scope not in self.scopes:
            raise ScopeMissingError


class ClientRepository:
    """Client apps, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        name: str,
        scopes: Iterable[Scope] = tuple(Scope),
        appearance: Appearance = PLAIN,
    ) -> tuple[ClientView, str]:
        """Add a client; return it with its key, which can't be shown again.

        Raises InvalidClientNameError, or ClientExistsError if the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise InvalidClientNameError
        if self._session.scalar(select(ApiClient.id).where(ApiClient.name == name)):
            raise ClientExistsError
        key = new_token()
        row = ApiClient(
            id=uuid.uuid4(),
            name=name,
            key_hash=token_hash(key),
            scopes=_text(scopes),
            **_columns(appearance),
            created_at=datetime.now(UTC),
        )
        self._session.add(row)
        self._session.flush()
        return _view(row), key

    def renew(self, name: str) -> tuple[ClientView, str]:
        """Replace a client's key; the old one stops working. Raises UnknownClientError."""
        row, key = self._row(name), new_token()
        row.key_hash = token_hash(key)
        self._session.flush()
        return _view(row), key

    def grant(self, name: str, scopes: Iterable[Scope]) -> ClientView:
        """Let a client's key be used for more. Raises UnknownClientError."""
        return self._change_scopes(name, lambda had: had | set(scopes))

    def revoke(self, name: str, scopes: Iterable[Scope]) -> ClientView:
        """Let a client's key no longer be used for these. Raises UnknownClientError."""
        return self._change_scopes(name, lambda had: had - set(scopes))

    def edit(self, name: str, change: Callable[[Appearance], Appearance]) -> ClientView:
        """Change what people see of a client. Raises UnknownClientError."""
        row = self._locked_row(name)
        for column, value in _columns(change(_view(row).appearance)).items():
            setattr(row, column, value)
        self._session.flush()
        return _view(row)

    def remove(self, name: str) -> None:
        """Delete a client, its key and its connections. Raises UnknownClientError."""
        self._session.delete(self._row(name))
        self._session.flush()

    def find(self, key: str) -> ClientView:
        """Return the client with this key. Raises UnknownClientError."""
        # A lookup by hash: its duration reveals nothing about the key.
        row = self._session.scalar(select(ApiClient).where(ApiClient.key_hash == token_hash(key)))
        if row is None:
            raise UnknownClientError
        return _view(row)

    def with_id(self, client_id: uuid.UUID) -> ClientView:
        """Return the client with this id. Raises UnknownClientError."""
        row = self._session.get(ApiClient, client_id)
        if row is None:
            raise UnknownClientError
        return _view(row)

    def named(self, name: str) -> ClientView:
        """Return the client with this name. Raises UnknownClientError."""
        return _view(self._row(name))

    def lock_for_removal(self, name: str) -> ClientView:
        """Return the client; block its new connections until commit. Raises UnknownClientError."""
        return _view(self._locked_row(name))

    def lock(self, client_id: uuid.UUID) -> bool:
        """Block the client's removal until commit; return False if it does not exist."""
        query = select(ApiClient.id).where(ApiClient.id == client_id)
        return self._session.scalar(query.with_for_update(read=True, key_share=True)) is not None

    def all(self) -> list[ClientView]:
        """Return every client, by name."""
        return [_view(row) for row in self._session.scalars(select(ApiClient).order_by("name"))]

    def _change_scopes(
        self, name: str, change: Callable[[frozenset[Scope]], frozenset[Scope]]
    ) -> ClientView:
        row = self._locked_row(name)
        row.scopes = _text(change(_view(row).scopes))
        self._session.flush()
        return _view(row)

    def _locked_row(self, name: str) -> ApiClient:
        self._session.execute(select(ApiClient.id).where(ApiClient.name == name).with_for_update())
        return self._row(name)

    def _row(self, name: str) -> ApiClient:
        row = self._session.scalar(select(ApiClient).where(ApiClient.name == name))
        if row is None:
            raise UnknownClientError
        return row


def _text(scopes: Iterable[Scope]) -> str:
    chosen = set(scopes)
    return ",".join(scope for scope in Scope if scope in chosen)


def _view(row: ApiClient) -> ClientView:
    scopes = frozenset(Scope(name) for name in row.scopes.split(",") if name in Scope)
    appearance = Appearance(row.display_name, row.accent, tuple(row.origins.split()))
    return ClientView(row.id, row.name, row.created_at, scopes, appearance)


def _columns(appearance: Appearance) -> dict[str, str | None]:
    return {
        "display_name": appearance.display_name,
        "accent": appearance.accent,
        "origins": " ".join(appearance.origins),
    }
