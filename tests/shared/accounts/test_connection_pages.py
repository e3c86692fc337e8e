"""Connections, page by page."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from shared.accounts.clients import ClientView
from shared.accounts.connections import ConnectionKey, ConnectionRepository, ConnectionView
from shared.accounts.states import EXPIRING, ConnectionState
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import ClientLink, GarminToken
from shared.garmin.types import GarminIdentity
from shared.origin import Origin
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import garmin_tokens

_IDS = ["", "A", "B", "a", "a b", "a/b", "b", "member-10", "member-9", "ä", "名前", "🏃"][1:]


class Apps(Repositories):
    def __init__(self, database: Database, keyring: Keyring) -> None:
        super().__init__(database, keyring)
        self.app, _ = self.clients(lambda c: c.add("app"))
        self.other, _ = self.clients(lambda c: c.add("other"))

    def connect(
        self,
        user_id: str,
        app: ClientView | None = None,
        driver: str = "garth",
        refreshable: timedelta = timedelta(days=365),
    ) -> None:
        identity = GarminIdentity(guid=uuid.uuid4().hex, display_name=user_id)
        client = app or self.app
        self.sign_in(
            identity,
            garmin_tokens(driver=driver, refreshable=refreshable),
            origin=Origin(client_id=client.client_id, client_user_id=user_id),
        )

    def disconnect(self, user_id: str) -> None:
        origin = Origin(client_id=self.app.client_id)
        self.database.run(lambda s: self.accounts.unlink_client_user(s, user_id, origin))

    def page(
        self,
        limit: int,
        after: ConnectionKey | None = None,
        state: ConnectionState | None = None,
        client_id: uuid.UUID | None = None,
    ) -> tuple[Sequence[ConnectionView], ConnectionKey | None]:
        page = self.database.run(
            lambda s: ConnectionRepository(s).page(limit, after, client_id, state)
        )
        return page.connections, page.next_after

    def all(
        self, limit: int, state: ConnectionState | None = None, client_id: uuid.UUID | None = None
    ) -> list[str]:
        found, after = self.page(limit, None, state, client_id)
        user_ids = [view.client_user_id for view in found]
        while after is not None:
            found, after = self.page(limit, after, state, client_id)
            assert found
            user_ids += [view.client_user_id for view in found]
        return user_ids


@pytest.fixture
def apps(database: Database, keyring: Keyring) -> Apps:
    return Apps(database, keyring)


@pytest.mark.parametrize("limit", [1, 3, 11, 200])
def test_pages_hold_each_connection_of_the_app_once(apps: Apps, limit: int) -> None:
    for user_id in _IDS:
        apps.connect(user_id)
    apps.connect("of the other", apps.other)
    assert sorted(apps.all(limit, client_id=apps.app.client_id)) == sorted(_IDS)
    assert sorted(apps.all(limit)) == sorted([*_IDS, "of the other"])


def test_a_connection_that_stays_is_on_one_page_whatever_changes(apps: Apps) -> None:
    for user_id in "bdfhj":
        apps.connect(user_id)
    found, after = apps.page(2)
    seen = [view.client_user_id for view in found]
    assert (seen, after) == (["b", "d"], (apps.app.client_id, "d"))
    apps.connect("a")
    apps.disconnect("d")
    apps.disconnect("f")
    apps.connect("i")
    found, after = apps.page(9, after)
    assert ([view.client_user_id for view in found], after) == (["h", "i", "j"], None)


def test_without_connections_the_first_page_is_the_last(apps: Apps) -> None:
    assert apps.page(5) == ([], None)


def test_the_filter_agrees_with_the_state_that_each_connection_has(apps: Apps) -> None:
    moments = (timedelta(seconds=-1), timedelta(hours=1), EXPIRING, timedelta(days=20))
    for driver in ("garth", "garminconnect"):
        for number, refreshable in enumerate(moments):
            apps.connect(f"{driver}-{number}", driver=driver, refreshable=refreshable)
            apps.connect(f"{driver}-{number}-rejected", driver=driver, refreshable=refreshable)
    rejected = select(ClientLink.token_id).where(ClientLink.client_user_id.endswith("-rejected"))
    change = update(GarminToken).where(GarminToken.id.in_(rejected))
    apps.database.run(lambda s: s.execute(change.values(state="sign_in_required")))
    everything = apps.page(200)[0]
    assert {view.garmin.standing.state for view in everything} == set(ConnectionState)
    for state in ConnectionState:
        wanted = [v.client_user_id for v in everything if v.garmin.standing.state is state]
        assert apps.all(3, state) == wanted
