"""Garmin tokens in the database, encrypted."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import Keyring, Purpose
from shared.database.models import GarminToken, User
from shared.errors import SealBrokenError
from shared.garmin.types import GarminTokens
from shared.origin import UNKNOWN, Origin


@dataclass(frozen=True)
class GarminLink:
    """What may be told about the Garmin tokens of a person without opening them."""

    domain: str
    driver: str
    access_expires_at: datetime
    refresh_expires_at: datetime


def garmin_link(user: User, token: GarminToken | None) -> GarminLink | None:
    """None where there are no tokens, or they can no longer be refreshed."""
    if token is None or token.refresh_expires_at <= datetime.now(UTC):
        return None
    return GarminLink(user.domain, token.driver, token.access_expires_at, token.refresh_expires_at)


class SealedTokens:
    """All sealed token rows, for the operator who rotates keys; within the caller's transaction."""

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring

    def count_by_key(self) -> dict[str, int]:
        """How many rows each key id has sealed."""
        rows = self._session.execute(
            select(GarminToken.key_id, func.count()).group_by(GarminToken.key_id)
        )
        return {key_id: count for key_id, count in rows}  # noqa: C416 - rows are not pairs to mypy

    def reseal(self, most: int, after: uuid.UUID | None = None) -> "ResealedBatch":
        """Seals up to `most` rows anew that another key than the first has sealed.

        Goes on behind the user `after`. Rows that another transaction is writing are left to a
        later call, and rows that do not open are left as they are.
        """
        current = self._keyring.sealing_key_id
        query = select(GarminToken).where(GarminToken.key_id != current)
        if after is not None:
            query = query.where(GarminToken.user_id > after)
        rows = self._session.scalars(
            query.order_by(GarminToken.user_id).limit(most).with_for_update(skip_locked=True)
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
    """How many rows were sealed anew, whose did not open, and the last user looked at."""

    sealed: int
    broken: tuple[uuid.UUID, ...]
    last: uuid.UUID | None


class TokenRepository:
    """Garmin tokens of a person, within the caller's transaction.

    What lies in the database is sealed and bound to the user's id: copied to another row it does
    not open.
    """

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring

    def save(self, user_id: uuid.UUID, tokens: GarminTokens) -> None:
        """Keeps the tokens in the place of earlier ones. If it fails, the earlier ones stay."""
        sealed = self._keyring.seal(tokens.reveal(), Purpose.GARMIN_TOKENS, str(user_id))
        now = datetime.now(UTC)
        row = self._session.get(GarminToken, user_id, with_for_update=True)
        if row is None:
            row = GarminToken(user_id=user_id, created_at=now)
            self._session.add(row)
        row.driver = tokens.driver
        row.key_id = self._keyring.sealing_key_id
        row.ciphertext = sealed
        row.access_expires_at = tokens.access_expires_at
        row.refresh_expires_at = tokens.refresh_expires_at
        row.updated_at = now
        self._session.flush()

    def load(self, user_id: uuid.UUID, origin: Origin = UNKNOWN) -> GarminTokens | None:
        """The tokens; None when there are none or they can no longer be refreshed.

        That they were read is told to the audit log. Raises SealBrokenError if what lies there does
        not open.
        """
        row = self._session.get(GarminToken, user_id)
        if row is None or row.refresh_expires_at <= datetime.now(UTC):
            return None
        revealed = self._keyring.open(row.ciphertext, Purpose.GARMIN_TOKENS, str(user_id))
        event = Event.of(EventKind.TOKENS_READ, origin, row.driver, user_id=user_id)
        EventLog(self._session).append(event)
        return GarminTokens.from_revealed(revealed)

    def delete(self, user_id: uuid.UUID) -> bool:
        """Forgets the tokens. True if there were any."""
        deleted = self._session.execute(
            delete(GarminToken).where(GarminToken.user_id == user_id).returning(GarminToken.user_id)
        )
        return deleted.first() is not None
