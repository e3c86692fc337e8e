"""Access tokens for apps: read where they are fresh, and otherwise refreshed by a worker."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from shared.accounts.clients import Scope
from shared.accounts.states import ConnectionState
from shared.accounts.tokens import StoredTokens, best_token_of, open_tokens
from shared.broker.errors import SignInRequiredError
from shared.crypto.keyring import Keyring
from shared.database.models import ApiClient, ClientLink, GarminToken, User
from shared.errors import (
    LinkNotFoundError,
    ScopeMissingError,
    TokensRejectedError,
    UnknownClientError,
)
from shared.garmin.access import access_token

_COLUMNS = (*GarminToken.__table__.c, User.display_name, User.garmin_display_name)

OF_CLIENT = (
    select(ApiClient.id.label("client_id"), ApiClient.scopes, *_COLUMNS)
    .outerjoin(
        ClientLink,
        (ClientLink.client_id == ApiClient.id)
        & (ClientLink.client_user_id == bindparam("client_user_id")),
    )
    .outerjoin(GarminToken, GarminToken.id == ClientLink.token_id)
    .outerjoin(User, User.id == GarminToken.user_id)
    .where(ApiClient.key_hash == bindparam("key_hash"))
)
"""An app by the hash of its key, and what it has connected to its own id of a user.

A lookup by hash: its duration reveals nothing about the key.
"""


@dataclass(frozen=True)
class Wanted:
    """What an app needs: a token with more than so many seconds left, and not a rejected one.

    `rejected` is the SHA-256, in hex, of an access token that Garmin has answered with 401.
    """

    min_valid_for: int = 300
    rejected: str | None = None


@dataclass(frozen=True)
class Connection:
    """A person's tokens, and whose they are."""

    stored: StoredTokens
    display_name: str
    garmin_display_name: str | None


class TokenBroker:
    """Reads connections and judges their tokens."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of_client(self, row: Any) -> tuple[uuid.UUID, Connection]:  # noqa: ANN401 - any row
        """Return the app and its connection that `OF_CLIENT` has selected.

        Raises UnknownClientError, ScopeMissingError, LinkNotFoundError.
        """
        if row is None:
            raise UnknownClientError
        if Scope.TOKENS not in row.scopes.split(","):
            raise ScopeMissingError
        return row.client_id, self._connection(row)

    def of_user(self, session: Session, user_id: uuid.UUID) -> Connection:
        """Return a person's tokens that allow the most. Raises LinkNotFoundError."""
        query = select(*_COLUMNS).join(User, User.id == GarminToken.user_id)
        row = session.execute(query.where(GarminToken.id == best_token_of(user_id))).one_or_none()
        return self._connection(row)

    def _connection(self, row: Any) -> Connection:  # noqa: ANN401 - any row
        if row is None or row.id is None:
            raise LinkNotFoundError
        stored = open_tokens(self._keyring, row)
        return Connection(stored, row.display_name, row.garmin_display_name)


def check(connection: Connection) -> None:
    """Raise SignInRequiredError if only a sign-in gives another token."""
    if requires_sign_in(connection):
        standing = connection.stored.standing
        raise SignInRequiredError(standing.reason or "rejected", standing.since)


def requires_sign_in(connection: Connection) -> bool:
    return connection.stored.standing.state is ConnectionState.SIGN_IN_REQUIRED


def is_fresh(connection: Connection, wanted: Wanted) -> bool:
    """Return whether the stored token is as it is wanted, or the last one of a key that ends."""
    tokens = connection.stored.tokens
    is_last = tokens.access_expires_at == tokens.refresh_expires_at
    return _valid_for(connection, wanted) > (0 if is_last else wanted.min_valid_for)


def is_usable(connection: Connection, wanted: Wanted) -> bool:
    """Return whether the stored token is still better than none."""
    return _valid_for(connection, wanted) > 0


def _valid_for(connection: Connection, wanted: Wanted) -> float:
    tokens = connection.stored.tokens
    try:
        token = access_token(tokens).get_secret_value()
    except TokensRejectedError:
        return 0.0
    if wanted.rejected is not None:
        digest = hashlib.sha256(token.encode()).hexdigest()
        if hmac.compare_digest(digest, wanted.rejected):
            return 0.0
    return (tokens.access_expires_at - datetime.now(UTC)).total_seconds()
