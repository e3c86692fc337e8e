"""Cutoffs: sign-ins that began before one are not stored.

Whose sign-in it is, is known only when Garmin has said so. A sign-in that is still going on can
therefore not be found and stopped where somebody unlinks: it finds the cutoff when it is stored.
"""

import time
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from shared.crypto.keyring import Keyring
from shared.database.clock import database_now, utc_now
from shared.database.deletes import delete_some
from shared.database.inserts import dialect, insert_or
from shared.database.models import SignInCutoff
from shared.errors import SignInRevokedError
from shared.origin import Origin

_RETENTION = timedelta(days=3)
"""Longer than any sign-in goes on."""

_NEWEST = select(func.max(SignInCutoff.at)).where(
    SignInCutoff.scope.in_(bindparam("scopes", expanding=True))
)


def delete_cutoffs(session: Session, now: datetime, limit: int) -> int:
    """Delete up to `limit` cutoffs that are older than any sign-in; return how many."""
    old = SignInCutoff.at < now - _RETENTION
    return delete_some(session, SignInCutoff.scope, old, limit)


class SignInCutoffs:
    """Cutoffs, within the caller's transaction. What they apply to is stored as a keyed hash."""

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring

    def end_user(self, user_id: uuid.UUID) -> None:
        """End every sign-in of a user."""
        self._write([_user(user_id)])

    def end_identity(self, domain: str, guid: str) -> None:
        """End every sign-in of a person at Garmin, whose user may be deleted."""
        self._write([_identity(domain, guid)])

    def end_client(self, client_id: uuid.UUID, client_user_id: str, user_id: uuid.UUID) -> None:
        """End a client's sign-ins of a user, and those for its own id of the user."""
        self._write([_client(client_id, user_id), _client_user(client_id, client_user_id)])

    def check(
        self, began: float, user_id: uuid.UUID, domain: str, guid: str, origin: Origin
    ) -> None:
        """Raise SignInRevokedError if there is a cutoff after `began`, on the monotonic clock."""
        scopes = [_user(user_id), _identity(domain, guid)]
        if origin.client_id is not None:
            scopes.append(_client(origin.client_id, user_id))
            if origin.client_user_id is not None:
                scopes.append(_client_user(origin.client_id, origin.client_user_id))
        hashes = [self._keyring.hash_name(scope) for scope in scopes]
        cutoff = self._session.scalar(_NEWEST, {"scopes": hashes})
        if cutoff is not None and self._began_at(began) <= cutoff:
            raise SignInRevokedError

    def _began_at(self, began: float) -> datetime:
        """Return a time on the monotonic clock as one by the database's."""
        before = time.monotonic()
        now = database_now(self._session)
        middle = (before + time.monotonic()) / 2  # to within half of a round trip
        return now - timedelta(seconds=middle - began)

    def _write(self, scopes: Iterable[str]) -> None:
        for scope in sorted(self._keyring.hash_name(scope) for scope in scopes):
            self._session.execute(
                insert_or(dialect(self._session), SignInCutoff)
                .values(scope=scope, at=utc_now())
                .on_conflict_do_update(index_elements=["scope"], set_={"at": utc_now()})
            )


def _user(user_id: uuid.UUID) -> str:
    return f"user {user_id}"


def _identity(domain: str, guid: str) -> str:
    return f"identity {domain} {guid}"


def _client(client_id: uuid.UUID, user_id: uuid.UUID) -> str:
    return f"client {client_id} user {user_id}"


def _client_user(client_id: uuid.UUID, client_user_id: str) -> str:
    return f"client {client_id} id {client_user_id}"
