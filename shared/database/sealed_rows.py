"""Rows that hold a sealed value, for key rotation: which key seals how many, and sealing anew."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.crypto.keyring import Keyring, Purpose
from shared.database.models import GarminToken, WebhookEndpoint
from shared.errors import SealBrokenError

_Row = GarminToken | WebhookEndpoint


@dataclass(frozen=True)
class SealedKind:
    """A table whose rows are sealed for their ids. `name` formats what an operator reads of one."""

    model: type[_Row]
    purpose: Purpose
    name: str


TOKENS = SealedKind(GarminToken, Purpose.GARMIN_TOKENS, "user {0.user_id}: the tokens")
WEBHOOKS = SealedKind(WebhookEndpoint, Purpose.WEBHOOK_SECRETS, "webhook {0.id}: the secrets")
KINDS = (TOKENS, WEBHOOKS)


@dataclass(frozen=True)
class ResealedBatch:
    """How many rows were resealed, what could not be opened, and the last row of the batch."""

    sealed: int
    broken: tuple[str, ...]
    last: uuid.UUID | None


class SealedRows:
    """All rows of one kind, within the caller's transaction."""

    def __init__(self, session: Session, keyring: Keyring, kind: SealedKind = TOKENS) -> None:
        self._session = session
        self._keyring = keyring
        self._kind = kind

    def count_by_key(self) -> dict[str, int]:
        """Return how many rows each key has sealed, by key id."""
        key_id = self._kind.model.key_id
        rows = self._session.execute(select(key_id, func.count()).group_by(key_id))
        return {key_id: count for key_id, count in rows}  # noqa: C416 - rows are not pairs to mypy

    def reseal(self, limit: int, after: uuid.UUID | None = None) -> ResealedBatch:
        """Reseal up to `limit` rows of older keys with the first key, in the order of their ids.

        Start after row `after`. Skip rows that another transaction has locked; leave rows that
        can't be opened unchanged.
        """
        model = self._kind.model
        query = select(model).where(model.key_id != self._keyring.sealing_key_id)
        if after is not None:
            query = query.where(model.id > after)
        found = self._session.scalars(
            query.order_by(model.id).limit(limit).with_for_update(skip_locked=True)
        )
        rows = cast("Sequence[_Row]", found.all())
        broken = [self._kind.name.format(row) for row in rows if not self._reseal(row)]
        self._session.flush()
        last = rows[-1].id if rows else None
        return ResealedBatch(len(rows) - len(broken), tuple(broken), last)

    def _reseal(self, row: _Row) -> bool:
        purpose, subject = self._kind.purpose, str(row.id)
        try:
            value = self._keyring.open(row.ciphertext, purpose, subject)
        except SealBrokenError:
            return False
        row.ciphertext = self._keyring.seal(value, purpose, subject)
        row.key_id = self._keyring.sealing_key_id
        return True
