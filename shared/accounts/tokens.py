"""Garmin tokens in the database, sealed."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import Keyring, Purpose
from shared.database.inserts import insert
from shared.database.models import GarminToken, User
from shared.errors import SealBrokenError
from shared.garmin.types import GarminTokens
from shared.origin import UNKNOWN, Origin


@dataclass(frozen=True)
class TokenInfo:
    """What the database knows about a user's Garmin tokens without opening them."""

    domain: str
    driver: str
    access_expires_at: datetime
    refresh_expires_at: datetime


def token_info(user: User, token: GarminToken | None) -> TokenInfo | None:
    """Describe the tokens; return None if there are none or they can no longer be refreshed."""
    if token is None or token.refresh_expires_at <= datetime.now(UTC):
        return None
    return TokenInfo(user.domain, token.driver, token.access_expires_at, token.refresh_expires_at)


class SealedTokens:
    """All rows of Garmin tokens, for key rotation; within the caller's transaction."""

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring

    def count_by_key(self) -> dict[str, int]:
        """Return how many rows each key has sealed, by key id."""
        rows = self._session.execute(
            select(GarminToken.key_id, func.count()).group_by(GarminToken.key_id)
        )
        return {key_id: count for key_id, count in rows}  # noqa: C416 - rows are not pairs to mypy

    def reseal(self, limit: int, after: uuid.UUID | None = None) -> "ResealedBatch":
        """Reseal up to `limit` rows of older keys with the first key, in the order of user ids.

        Start after user `after`. Skip rows that another transaction has locked; leave rows that
        can't be opened unchanged.
        """
        current = self._keyring.sealing_key_id
        query = select(GarminToken).where(GarminToken.key_id != current)
        if after is not None:
            query = query.where(GarminToken.user_id > after)
        rows = self._session.scalars(
            query.order_by(GarminToken.user_id).limit(limit).with_for_update(skip_locked=True)
        ).all()
        broken = [row.user_id for row in rows if not self._reseal(row)]
        self._session.flush()
        last = rows[-1].user_id if rows else None
        return ResealedBatch(len(rows) - len(broken), tuple(broken), last)

    def _reseal(self, row: GarminToken) -> bool:
        subject = str(row.user_id)
        try:
            tokens = self._keyring.open(row.ciphertext, Purpose.GARMIN_TOKENS, subject)
        except SealBrokenError:
            return False
        row.ciphertext = self._keyring.seal(tokens, Purpose.GARMIN_TOKENS, subject)
        row.key_id = self._keyring.sealing_key_id
        return True


@dataclass(frozen=True)
class ResealedBatch:
    """How many rows were resealed, whose could not be opened, and the last user of the batch."""

    sealed: int
    broken: tuple[uuid.UUID, ...]
    last: uuid.UUID | None


class TokenRepository:
    """A user's Garmin tokens, within the caller's transaction.

    They are sealed for the user's id: copied to another row, they can't be opened.
    """

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring

    def save(self, user_id: uuid.UUID, tokens: GarminTokens) -> None:
        """Store the tokens in place of earlier ones."""
        sealed = self._keyring.seal(tokens.reveal(), Purpose.GARMIN_TOKENS, str(user_id))
        now = datetime.now(UTC)
        changing = {
            "driver": tokens.driver,
            "key_id": self._keyring.sealing_key_id,
            "ciphertext": sealed,
            "access_expires_at": tokens.access_expires_at,
            "refresh_expires_at": tokens.refresh_expires_at,
            "updated_at": now,
        }
        self._session.execute(
            insert(self._session, GarminToken)
            .values(user_id=user_id, created_at=now, **changing)
            .on_conflict_do_update(index_elements=["user_id"], set_=changing)
        )

    def load(self, user_id: uuid.UUID, origin: Origin = UNKNOWN) -> GarminTokens | None:
        """Return the tokens; None if there are none or they can no longer be refreshed.

        Writes a `tokens_read` event. Raises SealBrokenError if they can't be opened.
        """
        row = self._session.get(GarminToken, user_id)
        if row is None or row.refresh_expires_at <= datetime.now(UTC):
            return None
        revealed = self._keyring.open(row.ciphertext, Purpose.GARMIN_TOKENS, str(user_id))
        event = Event.of(EventKind.TOKENS_READ, origin, row.driver, user_id=user_id)
        EventLog(self._session).append(event)
        return GarminTokens.from_revealed(revealed)

    def delete(self, user_id: uuid.UUID) -> bool:
        """Delete the tokens; return whether there were any."""
        deleted = self._session.execute(
            delete(GarminToken).where(GarminToken.user_id == user_id).returning(GarminToken.user_id)
        )
        return deleted.first() is not None
