"""Deliveries: which are due, who makes them, and how they ended.

One is claimed before it is made, and noted when the receiver has answered. A worker that dies in
between leaves it to the next one, which delivers it again under the same id. Of one connection,
only the first that has not ended is ever claimed: so they arrive in order.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import Keyring
from shared.database.models import WebhookDelivery, WebhookEndpoint
from shared.origin import Origin
from shared.webhooks.endpoints import EndpointRepository
from shared.webhooks.events import EventType, WebhookEvent
from shared.webhooks.results import Answer, Result, Status
from shared.webhooks.signing import WebhookSecrets

PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Between two tries, of which there is one more than pauses."""

LONGEST_PAUSE = timedelta(days=1)
"""That a receiver may ask for with Retry-After."""

_JITTER = 0.1
_random = random.SystemRandom()


@dataclass(frozen=True)
class Claimed:
    """A delivery to make. `attempt` counts from 1, and is whose it is until it is noted."""

    number: int
    attempt: int
    event: WebhookEvent


@dataclass(frozen=True)
class Batch:
    """Deliveries to make to one endpoint, at the same time."""

    url: str
    secrets: WebhookSecrets
    deliveries: Sequence[Claimed]


class DeliveryLog:
    """Deliveries, within the caller's transaction."""

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._endpoints = EndpointRepository(session, keyring)

    def claim_endpoints(self, limit: int, seconds: float) -> Sequence[uuid.UUID]:
        """Claim endpoints that have deliveries due and are not served, for so long."""
        now = datetime.now(UTC)
        due = select(WebhookDelivery.number).where(
            WebhookDelivery.endpoint_id == WebhookEndpoint.id, _is_due(now)
        )
        query = select(WebhookEndpoint).where(
            WebhookEndpoint.disabled_at.is_(None),
            _is_over(WebhookEndpoint.paused_until, now),
            _is_over(WebhookEndpoint.served_until, now),
            due.exists(),
        )
        rows = self._session.scalars(
            query.limit(limit).with_for_update(skip_locked=True, key_share=True)
        ).all()
        for row in rows:
            row.served_until = now + timedelta(seconds=seconds)
        return [row.id for row in rows]

    def claim(self, endpoint_id: uuid.UUID, limit: int, seconds: float) -> "Batch | None":
        """Claim up to `limit` deliveries for so long; if none is due, let the endpoint go.

        Raises SealBrokenError.
        """
        now = datetime.now(UTC)
        endpoint = self._session.scalar(
            select(WebhookEndpoint).where(
                WebhookEndpoint.id == endpoint_id,
                WebhookEndpoint.disabled_at.is_(None),
                _is_over(WebhookEndpoint.paused_until, now),
            )
        )
        rows = self._claim(endpoint.id, limit, now) if endpoint else []
        if endpoint is None or not rows:
            self.release(endpoint_id)
            return None
        for row in rows:
            row.attempts += 1
            row.claimed_until = now + timedelta(seconds=seconds)
        deliveries = [Claimed(row.number, row.attempts, event_of(row)) for row in rows]
        return Batch(endpoint.url, self._endpoints.secrets(endpoint), deliveries)

    def _claim(
        self, endpoint_id: uuid.UUID, limit: int, now: datetime
    ) -> Sequence[WebhookDelivery]:
        query = (
            select(WebhookDelivery)
            .where(WebhookDelivery.endpoint_id == endpoint_id, _is_due(now))
            .order_by(WebhookDelivery.number)
            .limit(limit)
        )
        return self._session.scalars(query.with_for_update(skip_locked=True)).all()

    def release(self, endpoint_id: uuid.UUID) -> None:
        """Let any worker serve the endpoint."""
        of_endpoint = WebhookEndpoint.id == endpoint_id
        self._session.execute(update(WebhookEndpoint).where(of_endpoint).values(served_until=None))

    def note(self, claimed: Claimed, answer: Answer) -> Result | None:
        """Write down how a try ended; None if it is another worker's by now, or gone."""
        query = select(WebhookDelivery).where(
            WebhookDelivery.number == claimed.number, WebhookDelivery.status == Status.PENDING
        )
        row = self._session.scalar(query.with_for_update())
        if row is None or (row.attempts != claimed.attempt and not answer.is_success):
            return None
        now = datetime.now(UTC)
        row.tried_at, row.answer, row.claimed_until = now, answer.text, None
        if answer.is_success:
            row.status = Status.DELIVERED
            return Result.DELIVERED
        if answer.is_gone:
            self._disable(row.endpoint_id, now)
            return Result.GIVEN_UP
        return self._postpone(row, answer, now)

    def _postpone(self, row: WebhookDelivery, answer: Answer, now: datetime) -> Result:
        wait = timedelta(seconds=answer.retry_after or 0)
        if wait:
            wait = min(wait, LONGEST_PAUSE)
            of_endpoint = WebhookEndpoint.id == row.endpoint_id
            pause = update(WebhookEndpoint).where(of_endpoint).values(paused_until=now + wait)
            self._session.execute(pause)
        if row.type == EventType.TEST or row.attempts > len(PAUSES):
            row.status = Status.GIVEN_UP
            return Result.GIVEN_UP
        pause_of = PAUSES[row.attempts - 1] * (1 + _JITTER * _random.random())
        row.next_try_at = now + max(wait, pause_of)
        return Result.FAILED

    def _disable(self, endpoint_id: uuid.UUID, now: datetime) -> None:
        """Give up on an endpoint that its receiver calls gone, and on all it has yet to hear."""
        pending = and_(
            WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.status == Status.PENDING
        )
        self._session.execute(
            update(WebhookDelivery)
            .where(pending)
            .values(status=Status.GIVEN_UP, claimed_until=None)
        )
        endpoint = self._session.get_one(WebhookEndpoint, endpoint_id)
        endpoint.disabled_at, endpoint.disabled_reason = now, "gone"
        origin = Origin(client_id=endpoint.client_id)
        EventLog(self._session).append(Event.of(EventKind.WEBHOOK_DISABLED, origin, "gone"))


def _is_due(now: datetime) -> ColumnElement[bool]:
    earlier = aliased(WebhookDelivery)
    first = (
        select(earlier.number)
        .where(
            earlier.endpoint_id == WebhookDelivery.endpoint_id,
            earlier.client_user_id == WebhookDelivery.client_user_id,
            earlier.status == Status.PENDING,
            earlier.number < WebhookDelivery.number,
        )
        .correlate(WebhookDelivery)
    )
    return and_(
        WebhookDelivery.status == Status.PENDING,
        WebhookDelivery.next_try_at <= now,
        _is_over(WebhookDelivery.claimed_until, now),
        ~first.exists(),
    )


def _is_over(
    moment: "InstrumentedAttribute[datetime | None]", now: datetime
) -> ColumnElement[bool]:
    return or_(moment.is_(None), moment <= now)


def event_of(row: WebhookDelivery) -> WebhookEvent:
    return WebhookEvent(
        id=row.id,
        type=row.type,
        at=row.created_at,
        client_user_id=row.client_user_id,
        state=row.state,
        reason=row.reason,
        method=row.method,
        access=row.access,
        domain=row.domain,
    )
