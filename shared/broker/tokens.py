"""Access tokens for apps: read where they are fresh, and otherwise refreshed by a worker."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from shared.accounts.states import ConnectionState
from shared.accounts.tokens import StoredTokens, TokenRepository, best_token_of
from shared.broker.errors import SignInRequiredError
from shared.crypto.keyring import Keyring
from shared.database.models import ClientLink, GarminToken, User
from shared.errors import LinkNotFoundError, TokensRejectedError
from shared.garmin.access import access_token


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
    """Reads connections, within the caller's transaction, and judges their tokens."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of_client(self, session: Session, client_id: uuid.UUID, client_user_id: str) -> Connection:
        """Return what an app has connected to its own id of a user. Raises LinkNotFoundError."""
        query = _connections().join(ClientLink, ClientLink.token_id == GarminToken.id)
        mine = (ClientLink.client_id == client_id, ClientLink.client_user_id == client_user_id)
        return self._read(session, query.where(*mine))

    def of_user(self, session: Session, user_id: uuid.UUID) -> Connection:
        """Return a person's tokens that allow the most. Raises LinkNotFoundError."""
        return self._read(session, _connections().where(GarminToken.id == best_token_of(user_id)))

    def reread(self, session: Session, token_id: uuid.UUID) -> Connection:
        """Return the connection as it is now. Raises LinkNotFoundError if it was deleted."""
        return self._read(session, _connections().where(GarminToken.id == token_id))

    def _read(self, session: Session, query: "Select[GarminToken, User]") -> Connection:
        found = session.execute(query).one_or_none()
        if found is None:
            raise LinkNotFoundError
        row, user = found
        stored = TokenRepository(session, self._keyring).open(row)
        return Connection(stored, user.display_name, user.garmin_display_name)


def check(connection: Connection) -> None:
    """Raise SignInRequiredError if only a sign-in gives another token."""
    standing = connection.stored.standing
    if standing.state is ConnectionState.SIGN_IN_REQUIRED:
        raise SignInRequiredError(standing.reason or "rejected", standing.since)


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


def _connections() -> "Select[GarminToken, User]":
    return select(GarminToken, User).join(User, User.id == GarminToken.user_id)
