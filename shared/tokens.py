"""Garmin tokens in the database, encrypted."""

import uuid
from datetime import UTC, datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from shared.garmin import GarminTokens
from shared.models import GarminToken
from shared.sealing import Keyring, Purpose


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

    def load(self, user_id: uuid.UUID) -> GarminTokens | None:
        """The tokens; None when there are none or they can no longer be refreshed.

        Raises SealBrokenError if what lies there does not open.
        """
        row = self._session.get(GarminToken, user_id)
        if row is None or row.refresh_expires_at <= datetime.now(UTC):
            return None
        revealed = self._keyring.open(row.ciphertext, Purpose.GARMIN_TOKENS, str(user_id))
        return GarminTokens.from_revealed(revealed)

    def delete(self, user_id: uuid.UUID) -> bool:
        """Forgets the tokens. True if there were any."""
        deleted = self._session.execute(
            delete(GarminToken).where(GarminToken.user_id == user_id).returning(GarminToken.user_id)
        )
        return deleted.first() is not None
