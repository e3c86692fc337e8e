"""An app with connections and endpoints, and what a worker does for its webhooks."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.accounts.accounts import Accounts
from shared.accounts.clients import ClientRepository
from shared.accounts.refreshes import RefreshLog
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import ClientLink, WebhookDelivery, WebhookEndpoint
from shared.garmin.types import GarminIdentity, GarminTokens
from shared.origin import Origin
from shared.redis.webhook_figures import WebhookFigures
from shared.timings import Timings
from shared.webhooks.deliveries import DeliveryLog
from shared.webhooks.endpoints import EndpointRepository
from shared.webhooks.outbox import WebhookOutbox
from tests.shared.samples import ANNA, garmin_tokens
from worker.webhooks.courier import Courier

TIMINGS = Timings(webhook_connect=5.0, webhook_answer=1.0, webhook_claim=5.0, webhook_interval=0.05)


@dataclass
class App:
    """A client app. Each call is a transaction of its own."""

    database: Database
    keyring: Keyring
    name: str = "app"
    client_id: uuid.UUID = field(init=False)

    def __post_init__(self) -> None:
        client, _ = self.database.run(lambda s: ClientRepository(s).add(self.name))
        self.client_id = client.client_id
        self.accounts = Accounts(self.database, self.keyring, 3600)

    def add_endpoint(self, url: str = "http://127.0.0.1:9/") -> tuple[uuid.UUID, str]:
        """Return its id and its secret."""
        view, secret = self.database.run(
            lambda s: EndpointRepository(s, self.keyring).add(self.client_id, url)
        )
        return view.id, secret

    def connect(
        self,
        user: str = "member-1",
        identity: GarminIdentity = ANNA,
        tokens: GarminTokens | None = None,
    ) -> uuid.UUID:
        origin = Origin(client_id=self.client_id, client_user_id=user)
        stored = self.accounts.store(
            identity, tokens or garmin_tokens(), uuid.uuid4(), SecretStr(new_token()), origin
        )
        return stored.user_id

    def disconnect(self, user: str = "member-1") -> None:
        origin = Origin(client_id=self.client_id)
        self.database.run(lambda s: self.accounts.unlink_client_user(s, user, origin))

    def reject(self, user: str = "member-1") -> None:
        """Garmin no longer accepts the connection's tokens."""

        def work(session: Session) -> None:
            mine = (ClientLink.client_id == self.client_id, ClientLink.client_user_id == user)
            token_id = session.scalars(select(ClientLink.token_id).where(*mine)).one()
            log = RefreshLog(session, self.keyring)
            assert any(log.reject(token_id, generation) for generation in range(1, 50))

        self.database.run(work)

    def come_and_go(self, user: str, times: int) -> None:
        """Write this many events of one connection, without what leads to them."""

        def work(session: Session) -> None:
            outbox = WebhookOutbox(session)
            token_id = session.scalars(
                select(ClientLink.token_id).where(ClientLink.client_user_id == user)
            ).one()
            for _ in range(times):
                outbox.state_changed(token_id)

        self.database.run(work)

    def deliveries(self) -> Sequence[WebhookDelivery]:
        """Return the app's deliveries, oldest first."""
        query = (
            select(WebhookDelivery)
            .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
            .where(WebhookEndpoint.client_id == self.client_id)
            .order_by(WebhookDelivery.number)
        )
        return self.database.run(lambda s: s.scalars(query).all())

    def told(self) -> list[tuple[str, str | None]]:
        """Return type and user of each event, oldest first."""
        return [(row.type, row.client_user_id) for row in self.deliveries()]


def move_clock(database: Database, ahead: timedelta) -> None:
    """Let all that was written down be so much older."""

    def work(session: Session) -> None:
        for model, names in (
            (WebhookDelivery, ("created_at", "next_try_at", "claimed_until", "tried_at")),
            (WebhookEndpoint, ("paused_until", "served_until")),
        ):
            for row in session.scalars(select(model)):
                for name in names:
                    moment = getattr(row, name)
                    setattr(row, name, moment and moment - ahead)

    database.run(work)


class Worker:
    """A worker's part in webhooks. `figures` are kept, and not in Redis."""

    def __init__(self, database: Database, keyring: Keyring, timings: Timings = TIMINGS) -> None:
        self.database = database
        self.keyring = keyring
        self.timings = timings
        self.figures = _Figures()
        self.courier = Courier(database, keyring, self.figures, timings)

    def work(self) -> int:
        """Serve what is due, once, and wait for it; return how many endpoints that were."""
        served = [self.courier.serve(one) for one in self.claim()]
        for one in served:
            one.result(60)
        return len(served)

    def claim(self) -> Sequence[uuid.UUID]:
        return self.database.run(
            lambda s: DeliveryLog(s, self.keyring).claim_endpoints(100, self.timings.webhook_claim)
        )


class _Figures(WebhookFigures):
    def __init__(self) -> None:
        self.results: dict[str, int] = {}

    def count(self, result: str) -> None:
        self.results[result] = self.results.get(result, 0) + 1
