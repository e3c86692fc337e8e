"""The outbox of webhooks: events, written in the transaction of the change that they tell of.

Each method is one statement, which writes a row for each enabled endpoint of each app concerned;
where there is none, it writes nothing.
"""

import uuid
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import ColumnElement, Select, Table, and_, case, insert, literal, null, select
from sqlalchemy.orm import Session

from shared.database.inserts import new_uuid
from shared.database.models import ClientLink, GarminToken, User, WebhookDelivery, WebhookEndpoint
from shared.webhooks.events import EventType

_DELIVERIES = cast("Table", WebhookDelivery.__table__)

_OF_STATE = case(
    {"sign_in_required": EventType.SIGN_IN_REQUIRED, "expiring": EventType.EXPIRING},
    value=GarminToken.state,
    else_=EventType.CONNECTED,
)


class WebhookOutbox:
    """Events, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def connected(
        self,
        token_id: uuid.UUID,
        client_id: uuid.UUID | None,
        client_user_id: str | None,
        *,
        changed: bool,
    ) -> None:
        """Tell the app that connected its user to the tokens.

        `changed`: tell the other apps as well that use them, for their state is another now.
        """
        own = and_(ClientLink.client_id == client_id, ClientLink.client_user_id == client_user_id)
        if changed:
            kind = case((own, EventType.CONNECTED), else_=_OF_STATE)
            self._write(kind, ClientLink.token_id == token_id)
        elif client_user_id is not None:
            self._write(literal(EventType.CONNECTED), own)

    def state_changed(self, token_id: uuid.UUID) -> None:
        """Tell every app that uses the tokens of their state."""
        self._write(_OF_STATE, ClientLink.token_id == token_id)

    def disconnected(self, client_id: uuid.UUID, client_user_id: str) -> None:
        """Tell an app that this connection is about to be deleted."""
        own = and_(ClientLink.client_id == client_id, ClientLink.client_user_id == client_user_id)
        self._write(literal(EventType.DISCONNECTED), own, has_state=False)

    def all_disconnected(self, user_id: uuid.UUID) -> None:
        """Tell every app that this person's connections are about to be deleted."""
        theirs = GarminToken.user_id == user_id
        self._write(literal(EventType.DISCONNECTED), theirs, has_state=False)

    def test(self, endpoint_id: uuid.UUID) -> uuid.UUID:
        """Write an event that tells of nothing; return the delivery's id."""
        now = datetime.now(UTC)
        row = WebhookDelivery(
            id=uuid.uuid4(),
            endpoint_id=endpoint_id,
            type=EventType.TEST,
            created_at=now,
            status="pending",
            attempts=0,
            next_try_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return row.id

    def _write(
        self, kind: ColumnElement[str], of: ColumnElement[bool], *, has_state: bool = True
    ) -> None:
        self._session.flush()  # the statement reads what the session has changed
        rows = _events(kind, of, has_state=has_state)
        names = [str(column.key) for column in rows.selected_columns]
        self._session.execute(insert(_DELIVERIES).from_select(names, rows))


def _events(
    kind: ColumnElement[str], of: ColumnElement[bool], *, has_state: bool
) -> "Select[*tuple[object, ...]]":
    now = literal(datetime.now(UTC), _DELIVERIES.c.created_at.type)
    query = (
        select(
            new_uuid().label("id"),
            WebhookEndpoint.id.label("endpoint_id"),
            ClientLink.client_user_id.label("client_user_id"),
            kind.label("type"),
            (GarminToken.state if has_state else null()).label("state"),
            (GarminToken.state_reason if has_state else null()).label("reason"),
            GarminToken.method.label("method"),
            GarminToken.access.label("access"),
            User.domain.label("domain"),
            now.label("created_at"),
            literal("pending").label("status"),
            literal(0).label("attempts"),
            now.label("next_try_at"),
        )
        .select_from(ClientLink)
        .join(GarminToken, GarminToken.id == ClientLink.token_id)
        .join(User, User.id == GarminToken.user_id)
        .join(WebhookEndpoint, WebhookEndpoint.client_id == ClientLink.client_id)
        .where(of, WebhookEndpoint.disabled_at.is_(None))
    )
    # An endpoint that is being removed is waited for, and then not written for.
    if has_state:  # the tokens are locked already
        return query.with_for_update(read=True, key_share=True, of=WebhookEndpoint)
    return query.with_for_update(read=True, of=[WebhookEndpoint, GarminToken])
