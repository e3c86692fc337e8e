"""Apps with a key of their own: what they may do, and what only they may do."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy.orm import Session

from shared.accounts.clients import ClientRepository, Scope
from shared.origin import Origin
from shared.redis.connection import Redis
from tests.api.problems import assert_problem, faults, without_date
from tests.api.service import (
    CODE,
    CREDENTIALS,
    LOGIN,
    Service,
    in_process,
    pending,
    running_alone,
    settings,
)


@pytest.fixture(scope="module")
def strict_service(server_folder: Path) -> Iterator[Service]:
    only_apps = {"FITTRACK_REQUIRE_CLIENT_KEY": "true"}
    with running_alone(server_folder / "strict", **only_apps) as service:
        yield service


@pytest.fixture
def strict(strict_service: Service) -> Service:
    strict_service.redis.flushall()
    return strict_service


def new_app(service: Service, name: str) -> dict[str, str]:
    """The header of an app that is added if it is not there."""

    def key(clients: ClientRepository) -> str:
        known = name in [client.name for client in clients.all()]
        return (clients.renew(name) if known else clients.add(name))[1]

    return {"X-Client-Key": service.database.run(lambda s: key(ClientRepository(s)))}


def login(service: Service, headers: dict[str, str], **more: str) -> httpx.Response:
    return service.client.post(LOGIN, json=CREDENTIALS | more, headers=headers)


def challenge_of(service: Service, headers: dict[str, str]) -> str:
    """A challenge that the worker has opened for this app's sign-in."""
    key = headers["X-Client-Key"]
    client = service.database.run(lambda s: ClientRepository(s).find(key))
    origin = Origin(client_id=client.client_id)
    return service.challenges.create(pending(), origin).challenge_id.get_secret_value()


def send_code(service: Service, challenge_id: str, headers: dict[str, str]) -> httpx.Response:
    body = {"challenge_id": challenge_id, "mfa_code": "123456"}
    return service.client.post(CODE, json=body, headers=headers)


@pytest.mark.parametrize("headers", [{}, {"X-Client-Key": ""}, {"X-Client-Key": "x" * 43}])
def test_with_required_client_keys_submissions_without_one_are_refused(
    strict: Service, headers: dict[str, str]
) -> None:
    for path, body in ((LOGIN, CREDENTIALS), (CODE, {"challenge_id": "x", "mfa_code": "1234"})):
        reply = strict.client.post(path, json=body, headers=headers)
        assert_problem(reply, 401, "unauthorized")
        assert reply.headers["WWW-Authenticate"] == "ClientKey"
    assert strict.kept() == set()


def test_an_app_with_its_key_may_submit(strict: Service) -> None:
    reply = login(strict, new_app(strict, "app"))
    assert reply.status_code == 202
    job = reply.json()
    polled = strict.client.get(
        job["status_url"], headers={"Authorization": f"Bearer {job['poll_token']}"}
    )
    assert polled.status_code == 200


def test_an_optional_client_key_must_be_valid(service: Service) -> None:
    assert_problem(login(service, {"X-Client-Key": "wrong"}), 401, "unauthorized")
    assert login(service, new_app(service, "app")).status_code == 202


def test_only_the_app_that_opened_a_challenge_can_answer_it(service: Service) -> None:
    app, other = new_app(service, "app"), new_app(service, "other")
    challenge_id = challenge_of(service, app)
    unknown = send_code(service, "unknown", other)
    for headers in (other, {}):
        reply = send_code(service, challenge_id, headers)
        assert_problem(reply, 404, "challenge_not_found")
        assert reply.content == unknown.content
    assert (
        without_date(send_code(service, challenge_id, other)).keys() == without_date(unknown).keys()
    )
    assert send_code(service, challenge_id, app).status_code == 202


def test_no_app_can_answer_a_challenge_that_no_app_opened(service: Service) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    app = new_app(service, "app")
    assert_problem(send_code(service, challenge_id, app), 404, "challenge_not_found")
    assert send_code(service, challenge_id, {}).status_code == 202


def test_a_user_id_requires_a_client_key(service: Service) -> None:
    assert faults(login(service, {}, user_id="member-1")) == [["body", "user_id"]]
    assert service.kept() == set()
    assert login(service, new_app(service, "app"), user_id="member-1").status_code == 202


@pytest.mark.parametrize(
    "user_id", ["", "x" * 129, "a\0b", "a\nb", ".", "..", "x/../y", "../x", "x/."]
)
def test_an_invalid_user_id_is_refused(service: Service, user_id: str) -> None:
    reply = login(service, new_app(service, "app"), user_id=user_id)
    assert faults(reply) == [["body", "user_id"]]


@pytest.mark.parametrize("user_id", ["member-1", "a/b", "x" * 128, "名前 ?&#%2F", "a..b", "garmin"])
def test_an_app_sees_and_deletes_its_links(service: Service, user_id: str) -> None:
    app, other = service.app_with_link(user_id), new_app(service, "other")
    url = f"/api/users/{quote(user_id, safe='')}/garmin"

    reply = service.client.get(url, headers=app)
    assert reply.status_code == 200
    assert reply.json()["user_id"] == user_id
    assert reply.json()["garmin"]["linked"] is True
    assert reply.json()["garmin"]["driver"] == "garth"
    for method in ("GET", "DELETE"):
        reply = service.client.request(method, url, headers=other)
        assert_problem(reply, 404, "link_not_found")

    assert service.client.delete(url, headers=app).status_code == 204
    for method in ("GET", "DELETE"):
        assert_problem(service.client.request(method, url, headers=app), 404, "link_not_found")


def test_links_require_a_client_key(service: Service) -> None:
    service.app_with_link("member-1")
    for headers in ({}, {"X-Client-Key": "wrong"}):
        for method in ("GET", "DELETE"):
            reply = service.client.request(method, "/api/users/member-1/garmin", headers=headers)
            assert_problem(reply, 401, "unauthorized")


def test_without_the_database_submissions_with_a_key_are_refused(
    tmp_path: Path, real_redis_url: str
) -> None:
    absent = {"FITTRACK_DATABASE_URL": f"sqlite:///{tmp_path}/no-such-folder/x.db"}
    with (
        in_process(settings(real_redis_url, tmp_path) | absent) as client,
        Redis.from_url(real_redis_url) as redis,
    ):
        reply = client.post(LOGIN, json=CREDENTIALS, headers={"X-Client-Key": "x" * 43})
        assert_problem(reply, 503, "service_unavailable")
        assert redis.dbsize() == 0


@pytest.mark.parametrize("granted", list(Scope))
def test_a_key_is_good_for_its_scopes_alone(service: Service, granted: Scope) -> None:
    headers = service.app_with_link("member-1")
    key = headers["X-Client-Key"]

    def restrict(session: Session) -> None:
        clients = ClientRepository(session)
        clients.revoke(clients.find(key).name, set(Scope) - {granted})

    service.database.run(restrict)
    replies = {
        Scope.SIGN_IN: login(service, headers),
        Scope.CONNECTIONS: service.client.get("/api/users/member-1/garmin", headers=headers),
        Scope.TOKENS: service.client.post("/api/users/member-2/garmin/token", headers=headers),
    }
    for scope, reply in replies.items():
        if scope is granted:
            assert reply.status_code in (200, 202, 404), reply.text
        else:
            assert_problem(reply, 403, "scope_missing")
