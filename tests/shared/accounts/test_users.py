"""Users, as the operator sees them."""

import uuid
from datetime import timedelta

import pytest

from shared.accounts.states import ConnectionState
from shared.accounts.users import UserNotFoundError, UserRepository
from shared.garmin.types import GarminIdentity
from shared.origin import Origin
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import ANNA, garmin_tokens


def test_a_user_is_seen_with_tokens_apps_and_open_sessions(repos: Repositories) -> None:
    for name in ("second", "first"):
        app = repos.clients(lambda c, name=name: c.add(name))[0]  # type: ignore[misc]
        origin = Origin(client_id=app.client_id, client_user_id=f"of {name}")
        anna = repos.sign_in(ANNA, garmin_tokens(refreshable=timedelta(days=3)), origin=origin)
    repos.sign_in(ANNA, access_token="logged out")
    ended = repos.find_session("logged out").session_id
    repos.sessions(lambda sessions: sessions.end(ended))
    view = repos.database.run(lambda s: UserRepository(s).view(anna.user_id))
    assert (view.display_name, view.domain, view.sessions) == ("Anna", "garmin.com", 2)
    assert [(link.app, link.client_user_id) for link in view.links] == [
        ("first", "of first"),
        ("second", "of second"),
    ]
    [token] = view.tokens
    assert token.standing.state is ConnectionState.ACTIVE


def test_users_come_page_by_page(repos: Repositories) -> None:
    people = [GarminIdentity(guid=f"guid-{n}", display_name=f"Person {n}") for n in range(5)]
    ids = {repos.sign_in(person).user_id for person in people}
    seen: list[uuid.UUID] = []
    for _ in range(3):
        after = seen[-1] if seen else None
        page = repos.database.run(lambda s, after=after: UserRepository(s).page(2, after))  # type: ignore[misc]
        seen += [view.user_id for view in page]
        assert all(view.sessions == 1 for view in page)
    assert (len(seen), set(seen)) == (5, ids)


def test_nobody_is_not_found(repos: Repositories) -> None:
    with pytest.raises(UserNotFoundError):
        repos.database.run(lambda s: UserRepository(s).view(uuid.uuid4()))
