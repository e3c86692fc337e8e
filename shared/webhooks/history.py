"""Deliveries as the operator sees them: which there were, how they ended, and once more."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from shared.database.deletes import delete_some
from shared.database.models import ApiClient, WebhookDelivery, WebhookEndpoint
from shared.webhooks.deliveries import event_of
from shared.webhooks.errors import UnknownDeliveryError
from shared.webhooks.events import WebhookEvent
from shared.webhooks.results import Status

RETENTION = timedelta(days=30)
"""How long a delivery is kept, however it has ended."""


@dataclass(frozen=True)
class DeliveryView:
    """`answer` is the last: a status, or one word. Of the receiver's answer, no more is kept."""

    event: WebhookEvent
    endpoint_id: uuid.UUID
    client: str
    status: Status
    attempts: int
    answer: str | None
    tried_at: datetime | None
    next_try_at: datetime | None


class DeliveryHistory:
    """Deliveries, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def newest(
        self, limit: int, *, client: str | None = None, status: Status | None = None
    ) -> Sequence[DeliveryView]:
        """Return up to `limit` deliveries, newest first."""
        query = (
            select(WebhookDelivery, ApiClient.name)
            .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
            .join(ApiClient, ApiClient.id == WebhookEndpoint.client_id)
            .order_by(WebhookDelivery.number.desc())
            .limit(limit)
        )
        if client is not None:
            query = query.where(ApiClient.name == client)
        if status is not None:
            query = query.where(WebhookDelivery.status == status)
        return [_view(*found) for found in self._session.execute(query)]

    def status(self, delivery_id: uuid.UUID) -> tuple[Status, str | None]:
        """Return how far a delivery has come, and its last answer. Raises UnknownDeliveryError."""
        columns = select(WebhookDelivery.status, WebhookDelivery.answer)
        found = self._session.execute(columns.where(WebhookDelivery.id == delivery_id)).first()
        if found is None:
            raise UnknownDeliveryError
        return Status(found[0]), found[1]

    def resend(self, delivery_id: uuid.UUID) -> None:
        """Deliver once more what has ended, with all tries. Raises UnknownDeliveryError."""
        if not self._resend(WebhookDelivery.id == delivery_id):
            raise UnknownDeliveryError

    def resend_given_up(self, client_id: uuid.UUID) -> int:
        """Deliver everything that was given up for an app; return how many that is."""
        endpoints = select(WebhookEndpoint.id).where(WebhookEndpoint.client_id == client_id)
        return self._resend(
            WebhookDelivery.status == Status.GIVEN_UP, WebhookDelivery.endpoint_id.in_(endpoints)
        )

    def oldest_pending(self) -> datetime | None:
        """Return when the change happened that an app should have heard of first."""
        query = (
            select(func.min(WebhookDelivery.created_at))
            .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
            .where(WebhookDelivery.status == Status.PENDING, WebhookEndpoint.disabled_at.is_(None))
        )
        return self._session.scalar(query)

    def delete_older_than(self, moment: datetime, limit: int) -> int:
        """Delete up to `limit` deliveries; return how many."""
        old = WebhookDelivery.created_at < moment
        return delete_some(self._session, WebhookDelivery.number, old, limit)

    def _resend(self, *of: ColumnElement[bool]) -> int:
        enabled = select(WebhookEndpoint.id).where(WebhookEndpoint.disabled_at.is_(None))
        sent = self._session.scalars(
            update(WebhookDelivery)
            .where(
                *of,
                WebhookDelivery.status != Status.PENDING,
                WebhookDelivery.endpoint_id.in_(enabled),
            )
            .values(status=Status.PENDING, attempts=0, next_try_at=datetime.now(UTC))
            .returning(WebhookDelivery.number)
            .execution_options(synchronize_session=False)
        )
        return len(sent.all())


def _view(row: WebhookDelivery, client: str) -> DeliveryView:
    status = Status(row.status)
    return DeliveryView(
        event=event_of(row),
        endpoint_id=row.endpoint_id,
        client=client,
        status=status,
        attempts=row.attempts,
        answer=row.answer,
        tried_at=row.tried_at,
        next_try_at=row.next_try_at if status is Status.PENDING else None,
    )
