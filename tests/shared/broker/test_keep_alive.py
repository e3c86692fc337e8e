"""Connections are kept alive: what is due, by one worker each, at a bounded rate."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from shared.accounts.accounts import Accounts
from shared.accounts.refreshes import RefreshLog
from shared.broker.keep_alive import KeepAlive
from shared.broker.refreshes import Refreshes
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import GarminToken
from shared.errors import ClientRefusedError
from shared.garmin.types import GarminIdentity
from shared.jobs.queue import JobQueue
from shared.jobs.states import RefreshRequest
from shared.jobs.store import JobStore
from shared.jobs.submission import Submitter
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import at_once, garmin_tokens

DAY = timedelta(days=1)


@dataclass
class Connections:
    """Connections whose refreshes nobody runs."""

    redis: Redis
    url: str
    keyring: Keyring
    database: Database

    def __post_init__(self) -> None:
        self.cooldowns = DriverCooldowns(self.redis, use=DriverUse.REFRESH)
        self.jobs = Jobs(self.redis, self.keyring, 900)

    def add(self, left: timedelta, driver: str = "garminconnect") -> uuid.UUID:
        """Add a connection that can be renewed for so long, and is due."""
        tokens = garmin_tokens(driver=driver, refreshable=left)
        identity = GarminIdentity(guid=uuid.uuid4().hex, display_name="Anna")
        accounts = Accounts(self.database, self.keyring, 3600)
        user_id = accounts.store(identity, tokens, uuid.uuid4(), SecretStr(new_token())).user_id
        of_user = GarminToken.user_id == user_id
        due = update(GarminToken).where(of_user).values(refresh_due_at=datetime.now(UTC))
        self.database.run(lambda s: s.execute(due))
        return self.database.run(lambda s: s.scalars(select(GarminToken.id).where(of_user)).one())

    def keep_alive(self, rate: int = 600) -> int:
        """Do what one worker does; return how many refreshes it submitted."""
        store = JobStore(self.redis, self.keyring, 900)
        queue = JobQueue(self.url, 5)
        refreshes = Refreshes(Submitter(store, queue), self.cooldowns)
        worker = KeepAlive(self.redis, self.database, self.keyring, refreshes, rate)
        return worker.submit_due()

    def submitted(self) -> set[uuid.UUID]:
        """The tokens that have a refresh job."""
        names = [key.decode() for key in self.redis.scan_iter("fittrack:token:*")]
        return {uuid.UUID(name.rpartition(":")[2]) for name in names}

    def row(self, token_id: uuid.UUID) -> GarminToken:
        return self.database.run(lambda s: s.get_one(GarminToken, token_id))


@pytest.fixture
def connections(redis: Redis, redis_url: str, keyring: Keyring, database: Database) -> Connections:
    return Connections(redis, redis_url, keyring, database)


def test_what_is_due_is_refreshed_once(connections: Connections) -> None:
    due = {connections.add(DAY * 20) for _ in range(3)}
    later = connections.add(DAY * 20)
    in_a_day = update(GarminToken).where(GarminToken.id == later)
    connections.database.run(
        lambda s: s.execute(in_a_day.values(refresh_due_at=datetime.now(UTC) + DAY))
    )
    assert connections.keep_alive() == 3
    assert connections.submitted() == due
    assert connections.keep_alive() == 0
    [job_id] = {connections.redis.get(f"fittrack:token:{token_id}") for token_id in list(due)[:1]}
    assert isinstance(job_id, bytes)
    claim = connections.jobs.claim(job_id.decode(), "worker")
    work = connections.jobs.open_input(claim, RefreshRequest)
    assert work is not None
    assert (work.token_id in due, work.generation) == (True, 1)


def test_the_rate_bounds_all_workers_together(connections: Connections) -> None:
    for _ in range(12):
        connections.add(DAY * 20)
    counts = at_once(lambda _: connections.keep_alive(rate=30), threads=4)
    assert sum(count for count in counts if isinstance(count, int)) == 5  # ten seconds' share
    assert len(connections.submitted()) == 5


def test_those_that_would_die_first_come_first(connections: Connections) -> None:
    tokens = [connections.add(DAY * left) for left in (9, 3, 7, 1, 5, 8, 2)]
    soonest = {tokens[number] for number in (1, 3, 4, 6, 2)}
    assert connections.keep_alive(rate=30) == 5
    assert connections.submitted() == soonest


def test_no_two_workers_claim_the_same_row(connections: Connections) -> None:
    due = {connections.add(DAY * 20) for _ in range(20)}

    def claim(_: int) -> list[uuid.UUID]:
        rows = connections.database.run(lambda s: RefreshLog(s, connections.keyring).claim_due(5))
        return [row.id for row in rows]

    claimed = [
        token_id
        for rows in at_once(claim, threads=8)
        if isinstance(rows, list)
        for token_id in rows
    ]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) <= due
    assert len(claimed) >= 5


def test_a_claim_that_was_lost_is_due_again(connections: Connections) -> None:
    token_id = connections.add(DAY * 20)
    keyring = connections.keyring
    connections.database.run(lambda s: RefreshLog(s, keyring).claim_due(5))
    assert connections.keep_alive() == 0
    over = update(GarminToken).values(refresh_claimed_until=datetime.now(UTC) - DAY)
    connections.database.run(lambda s: s.execute(over))
    assert connections.keep_alive() == 1
    assert connections.submitted() == {token_id}


def test_what_garmin_refuses_is_put_off(connections: Connections) -> None:
    token_id = connections.add(DAY * 20)
    turn = connections.cooldowns.enter("garminconnect", str(token_id))
    connections.cooldowns.refused(turn, ClientRefusedError(500))
    assert connections.keep_alive() == 0
    assert connections.submitted() == set()
    left = connections.row(token_id).refresh_due_at - datetime.now(UTC)
    assert timedelta(seconds=480) < left <= timedelta(seconds=500)


def test_the_state_changes_with_the_time_that_passes(connections: Connections) -> None:
    ending, over = connections.add(DAY * 20, "garth"), connections.add(DAY * 20, "garth")
    now = datetime.now(UTC)
    for token_id, left in ((ending, DAY * 13), (over, -DAY)):
        row = update(GarminToken).where(GarminToken.id == token_id)
        connections.database.run(
            lambda s, row=row, left=left: s.execute(  # type: ignore[misc]
                row.values(refresh_expires_at=now + left)
            )
        )
    assert connections.keep_alive() == 1
    assert connections.row(ending).state == "expiring"
    assert connections.row(over).state == "sign_in_required"
    assert connections.row(over).state_reason == "expired"
    assert connections.submitted() == {ending}
