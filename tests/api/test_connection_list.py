"""GET /api/users: an app's connections."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from shared.accounts.clients import ClientRepository, Scope
from shared.database.models import GarminToken
from shared.origin import Origin
from tests.api.problems import assert_problem, faults
from tests.api.service import Service

_IDS = [f"member-{number:02}" for number in range(7)] + ["a/b ?&", "名前"]


@pytest.fixture
def app(service: Service) -> dict[str, str]:
    """An app with connections."""
    client, key = service.database.run(lambda s: ClientRepository(s).add(uuid4().hex))
    for user_id in _IDS:
        service.sign_in(origin=Origin(client_id=client.client_id, client_user_id=user_id))
    return {"X-Client-Key": key}


def listed(service: Service, headers: Mapping[str, str], **query: Any) -> dict[str, Any]:  # noqa: ANN401
    reply = service.client.get("/api/users", params=query, headers=dict(headers))
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    assert body.keys() == {"connections", "next_cursor"}
    return body


def test_an_app_lists_its_connections_page_by_page(service: Service, app: dict[str, str]) -> None:
    service.app_with_link("of another app")
    everything = listed(service, app)
    assert everything["next_cursor"] is None
    user_ids: list[str] = []
    cursor: str | None = None
    for _ in _IDS:
        query = {"limit": 4} if cursor is None else {"limit": 4, "cursor": cursor}
        page = listed(service, app, **query)
        user_ids += [connection["user_id"] for connection in page["connections"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["connections"]) == 4
    assert sorted(user_ids) == sorted(_IDS)
    assert user_ids == [connection["user_id"] for connection in everything["connections"]]


def test_each_is_as_it_is_when_asked_for_alone(service: Service, app: dict[str, str]) -> None:
    [connection] = [c for c in listed(service, app)["connections"] if c["user_id"] == "member-03"]
    alone = service.client.get("/api/users/member-03/garmin", headers=app).json()
    assert connection == alone


def test_connections_are_listed_by_state(service: Service, app: dict[str, str]) -> None:
    user = listed(service, app, limit=1)["connections"][0]
    change = update(GarminToken).where(GarminToken.user_id == UUID(user["user"]["id"]))
    values = {"state": "sign_in_required", "state_reason": "rejected"}
    service.database.run(lambda s: s.execute(change.values(values)))
    [found] = listed(service, app, state="sign_in_required")["connections"]
    assert found["user_id"] == user["user_id"]
    assert found["garmin"]["state_reason"] == "rejected"
    assert found["garmin"]["linked"] is False
    assert len(listed(service, app, state="active")["connections"]) == len(_IDS) - 1
    assert listed(service, app, state="expiring") == {"connections": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "ten"),
        ("limit", "-1"),
        ("limit", ""),
        ("state", "linked"),
        ("state", ""),
        ("cursor", ""),
        ("cursor", "x"),
        ("cursor", "not base64!"),
        ("cursor", "MQ"),  # no user id
        ("cursor", "MWE="),  # padded
        ("cursor", "MmE"),  # another version's
        ("cursor", "MS4u"),  # `..`: no user id
        ("cursor", "MWEK"),  # with a line break
        ("cursor", "Mf_-"),  # no UTF-8
        ("cursor", "M" * 2000),
    ],
)
def test_a_wrong_parameter_is_named(
    service: Service, app: dict[str, str], name: str, value: str
) -> None:
    reply = service.client.get("/api/users", params={name: value}, headers=app)
    assert faults(reply) == [["query", name]]


def test_a_cursor_leads_into_no_other_apps_connections(
    service: Service, app: dict[str, str]
) -> None:
    cursor = listed(service, app, limit=1)["next_cursor"]
    other = service.app_with_link("zzz")
    found = listed(service, other, cursor=cursor)["connections"]
    assert [connection["user_id"] for connection in found] == ["zzz"]


def test_the_list_needs_a_key_with_the_scope(service: Service) -> None:
    def get(headers: Mapping[str, str]) -> httpx.Response:
        return service.client.get("/api/users", headers=dict(headers))

    assert_problem(get({}), 401, "unauthorized")
    assert_problem(get({"X-Client-Key": "x" * 43}), 401, "unauthorized")
    scopes = set(Scope) - {Scope.CONNECTIONS}
    _, key = service.database.run(lambda s: ClientRepository(s).add(uuid4().hex, scopes))
    assert_problem(get({"X-Client-Key": key}), 403, "scope_missing")
