"""The outbox of webhooks: events, written in the transaction of the change that they tell of.

Each is one statement, built once. It writes a row for each enabled endpoint of each app concerned:
where there is none, nothing.
"""

import uuid
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import (
    ColumnElement,
    Executable,
    Table,
    and_,
    bindparam,
    case,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.orm import Session

from shared.database.inserts import new_uuid
from shared.database.models import (
    ClientLink,
    GarminToken,
    User,
    UtcDateTime,
    WebhookDelivery,
    WebhookEndpoint,
)
from shared.webhooks.events import EventType


def _telling(
    kind: ColumnElement[str], of: ColumnElement[bool], *, has_state: bool = True
) -> Executable:
    """Build the statement that tells of connections. One without a state is about to be deleted."""
    now = bindparam("now", type_=UtcDateTime())
    columns = {
        "id": new_uuid(),
        "endpoint_id": WebhookEndpoint.id,
        "client_user_id": ClientLink.client_user_id,
        "type": kind,
        "state": GarminToken.state if has_state else null(),
        "reason": GarminToken.state_reason if has_state else null(),
        "method": GarminToken.method,
        "access": GarminToken.access,
        "domain": User.domain,
        "created_at": now,
        "status": literal("pending"),
        "attempts": literal(0),
        "next_try_at": now,
    }
    rows = (
        select(*columns.values())
        .select_from(ClientLink)
        .join(GarminToken, GarminToken.id == ClientLink.token_id)
        .join(User, User.id == GarminToken.user_id)
        .join(WebhookEndpoint, WebhookEndpoint.client_id == ClientLink.client_id)
        .where(of, WebhookEndpoint.disabled_at.is_(None))
    )
    # An endpoint that is being removed is waited for, and then not written for. So is, before a
    # connection is deleted, a change of its state: the tokens are locked by whoever changes it.
    if has_state:
        rows = rows.with_for_update(read=True, key_share=True, of=WebhookEndpoint)
    else:
        rows = rows.with_for_update(read=True, of=[WebhookEndpoint, GarminToken])
    return insert(cast("Table", WebhookDelivery.__table__)).from_select(list(columns), rows)


_OWN = and_(
    ClientLink.client_id == bindparam("app"), ClientLink.client_user_id == bindparam("member")
)
_OF_TOKENS = ClientLink.token_id == bindparam("tokens")
_OF_STATE = case(
    {"sign_in_required": EventType.SIGN_IN_REQUIRED, "expiring": EventType.EXPIRING},
    value=GarminToken.state,
    else_=EventType.CONNECTED,
)
_CONNECTED = _telling(literal(EventType.CONNECTED), _OWN)
_CONNECTED_AND_CHANGED = _telling(case((_OWN, EventType.CONNECTED), else_=_OF_STATE), _OF_TOKENS)
_CHANGED = _telling(_OF_STATE, _OF_TOKENS)
_DISCONNECTED = _telling(literal(EventType.DISCONNECTED), _OWN, has_state=False)
_ALL_DISCONNECTED = _telling(
    literal(EventType.DISCONNECTED), GarminToken.user_id == bindparam("person"), has_state=False
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
        if changed:
            self._tell(
                _CONNECTED_AND_CHANGED, tokens=token_id, app=client_id, member=client_user_id
            )
        elif client_user_id is not None:
            self._tell(_CONNECTED, app=client_id, member=client_user_id)

    def state_changed(self, token_id: uuid.UUID) -> None:
        """Tell every app that uses the tokens of their state."""
        self._tell(_CHANGED, tokens=token_id)

    def disconnected(self, client_id: uuid.UUID, client_user_id: str) -> None:
        """Tell an app that this connection is about to be deleted."""
        self._tell(_DISCONNECTED, app=client_id, member=client_user_id)

    def all_disconnected(self, user_id: uuid.UUID) -> None:
        """Tell every app that this person's connections are about to be deleted."""
        self._tell(_ALL_DISCONNECTED, person=user_id)

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

    def _tell(self, statement: Executable, **of: object) -> None:
        self._session.flush()  # the statement reads what the session has changed
        self._session.execute(statement, {"now": datetime.now(UTC), **of})
