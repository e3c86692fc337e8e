"""Which deliveries are claimed, by whom and when, on both databases."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import WebhookEndpoint
from shared.garmin.types import GarminIdentity
from shared.webhooks.deliveries import Batch, Claimed, DeliveryLog
from shared.webhooks.errors import UnknownDeliveryError
from shared.webhooks.history import DeliveryHistory
from shared.webhooks.results import Answer, Result, Status
from tests.shared.samples import at_once
from tests.webhook_outbox import App, move_clock

MEMBERS = [f"member-{number}" for number in range(6)]
CLAIM = 60.0


@pytest.fixture
def app(database: Database, keyring: Keyring) -> App:
    """An app whose six connections have two events each."""
    app = App(database, keyring)
    app.add_endpoint()
    for member in MEMBERS:
        app.connect(member, GarminIdentity(guid=member, display_name=member))
        app.reject(member)
    return app


@pytest.fixture
def endpoint_id(app: App, database: Database) -> uuid.UUID:
    return database.run(lambda s: s.scalars(select(WebhookEndpoint.id)).one())


class Log:
    """Each call is a transaction of its own."""

    def __init__(self, app: App) -> None:
        self._app = app

    def endpoints(self) -> list[uuid.UUID]:
        return self._app.database.run(
            lambda s: list(DeliveryLog(s, self._app.keyring).claim_endpoints(10, CLAIM))
        )

    def claim(self, endpoint_id: uuid.UUID, limit: int = 100) -> Batch | None:
        return self._app.database.run(
            lambda s: DeliveryLog(s, self._app.keyring).claim(endpoint_id, limit, CLAIM)
        )

    def note(self, claimed: Claimed, answer: str) -> Result | None:
        return self._app.database.run(
            lambda s: DeliveryLog(s, self._app.keyring).note(claimed, Answer(answer))
        )


@pytest.fixture
def log(app: App) -> Log:
    return Log(app)


def users(batch: Batch | None) -> list[str | None]:
    return [one.event.client_user_id for one in batch.deliveries] if batch else []


def test_of_each_connection_only_the_first_event_is_claimed(
    log: Log, endpoint_id: uuid.UUID
) -> None:
    first = log.claim(endpoint_id)
    assert first is not None
    assert users(first) == MEMBERS
    assert {one.event.type for one in first.deliveries} == {"garmin.connected"}
    assert log.claim(endpoint_id) is None
    assert log.note(first.deliveries[2], "204") is Result.DELIVERED
    assert log.note(first.deliveries[4], "503") is Result.FAILED
    second = log.claim(endpoint_id)
    assert second is not None
    assert users(second) == [MEMBERS[2]]
    assert second.deliveries[0].event.type == "garmin.sign_in_required"


def test_an_endpoint_is_served_by_one_worker_until_it_lets_it_go(
    log: Log, endpoint_id: uuid.UUID, database: Database
) -> None:
    assert log.endpoints() == [endpoint_id]
    assert log.endpoints() == []
    move_clock(database, timedelta(seconds=CLAIM))
    assert log.endpoints() == [endpoint_id]
    while batch := log.claim(endpoint_id):
        for one in batch.deliveries:
            log.note(one, "200")
    assert log.endpoints() == []


def test_workers_that_claim_at_once_get_different_deliveries(
    log: Log, endpoint_id: uuid.UUID
) -> None:
    batches = at_once(lambda _: log.claim(endpoint_id, 2), 6)
    claimed = [user for batch in batches if isinstance(batch, Batch) for user in users(batch)]
    assert len(claimed) == len(set(claimed)) <= len(MEMBERS)
    claimed += users(log.claim(endpoint_id))
    assert sorted(str(user) for user in claimed) == MEMBERS


def test_a_claim_that_is_over_can_say_that_it_was_delivered_and_nothing_else(
    log: Log, app: App, endpoint_id: uuid.UUID, database: Database
) -> None:
    late = log.claim(endpoint_id)
    move_clock(database, timedelta(seconds=CLAIM))
    again = log.claim(endpoint_id)
    assert late is not None
    assert again is not None
    assert users(late) == users(again)
    assert log.note(late.deliveries[0], "503") is None
    assert log.note(late.deliveries[1], "204") is Result.DELIVERED
    assert log.note(again.deliveries[1], "503") is None
    assert [row.status for row in app.deliveries()][:4] == [
        Status.PENDING,
        Status.PENDING,
        Status.DELIVERED,
        Status.PENDING,
    ]


def test_what_has_ended_can_be_sent_again_with_all_tries(
    log: Log, app: App, endpoint_id: uuid.UUID, database: Database
) -> None:
    batch = log.claim(endpoint_id)
    assert batch is not None
    first, second = batch.deliveries[:2]
    log.note(first, "204")

    def resend(delivery_id: uuid.UUID) -> None:
        database.run(lambda s: DeliveryHistory(s).resend(delivery_id))

    resend(first.event.id)
    for unknown in (second.event.id, uuid.uuid4()):
        with pytest.raises(UnknownDeliveryError):
            resend(unknown)
    again = log.claim(endpoint_id)
    assert again is not None
    assert (again.deliveries[0].event, again.deliveries[0].attempt) == (first.event, 1)
    assert log.note(second, "410") is Result.GIVEN_UP
    with pytest.raises(UnknownDeliveryError):  # its endpoint is disabled
        resend(second.event.id)


def test_the_oldest_that_waits_is_known_and_after_its_retention_it_is_deleted(
    log: Log, app: App, endpoint_id: uuid.UUID, database: Database
) -> None:
    oldest = app.deliveries()[0]
    assert database.run(lambda s: DeliveryHistory(s).oldest_pending()) == oldest.created_at
    now = datetime.now(UTC)
    assert database.run(lambda s: DeliveryHistory(s).delete_older_than(now, 10)) == 10
    assert database.run(lambda s: DeliveryHistory(s).delete_older_than(now, 10)) == 2
    assert database.run(lambda s: DeliveryHistory(s).oldest_pending()) is None
