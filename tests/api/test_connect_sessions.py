"""POST /api/connect-sessions and GET /api/connect-sessions/{id}: the app's side."""

import re
from typing import Any

import pytest

from shared.accounts.clients import ClientRepository, Scope
from tests.api.connecting import APP, SESSIONS, App
from tests.api.problems import assert_problem, faults
from tests.api.service import Service
from tests.shared.jobs.outcomes import CODE_REQUIRED, REFUSED, SUCCESS


@pytest.fixture
def app(service: Service) -> App:
    return App.add(service)


def test_a_session_has_a_secret_address_and_is_open(service: Service, app: App) -> None:
    person = app.create(return_url=f"{APP}/settings?tab=1", locale="de")
    assert re.fullmatch(rf"{service.stack.url}/connect#[A-Za-z0-9_-]{{43}}", person.url)
    assert person.token not in person.session_id
    shown = app.session(person.session_id)
    assert shown.pop("expires_at").endswith("Z")
    assert shown == {"id": person.session_id, "user_id": "member-1", "status": "open"}


def test_the_address_of_an_embedded_page_names_its_session(app: App) -> None:
    person = app.create(embed_origin=f"{APP}/")
    assert f"/connect?session={person.session_id}#" in person.url


def test_what_the_person_does_is_seen_by_the_app(app: App) -> None:
    person = app.create()
    person.sign_in()
    assert app.session(person.session_id)["status"] == "open"
    person.worker_ends(CODE_REQUIRED)
    assert app.session(person.session_id)["status"] == "code_required"


def test_the_app_learns_of_success_without_the_browser(app: App) -> None:
    person = app.create()
    person.sign_in()
    person.worker_ends(SUCCESS)
    shown = app.session(person.session_id)
    assert shown["status"] == "connected"
    assert shown["user"] == {"id": SUCCESS.user_id, "display_name": "Anna"}
    assert "error" not in shown


def test_a_failure_is_told_with_its_code(app: App) -> None:
    person = app.create()
    person.sign_in()
    person.worker_ends(REFUSED)
    shown = app.session(person.session_id)
    assert shown["status"] == "failed"
    assert shown["error"]["code"] == "garmin_rate_limited"
    assert 70 <= shown["error"]["retry_after"] <= 77


@pytest.mark.parametrize(
    "body",
    [
        {"return_url": "https://elsewhere.example/"},
        {"return_url": "http://app.example/"},
        {"return_url": "https://app.example.evil.example/"},
        {"return_url": "https://app.example@evil.example/"},
        {"return_url": "javascript:alert(1)"},
        {"return_url": "/settings"},
        {"embed_origin": "https://elsewhere.example"},
        {"embed_origin": "*"},
        {"embed_origin": "null"},
        {"methods": []},
        {"methods": ["password", "password"]},
        {"methods": ["magic"]},
        {"locale": "de; DROP"},
        {"domain": "garmin.example"},
        {"user_id": ""},
        {"unknown": 1},
    ],
)
def test_what_is_not_registered_or_not_known_is_refused(app: App, body: dict[str, Any]) -> None:
    assert faults(app.post(**body))


def test_only_an_app_that_may_sign_people_in_creates_sessions(service: Service, app: App) -> None:
    body = {"user_id": "member-1"}
    assert_problem(service.client.post(SESSIONS, json=body), 401, "unauthorized")
    wrong = {"X-Client-Key": "x" * 43}
    assert_problem(service.client.post(SESSIONS, json=body, headers=wrong), 401, "unauthorized")
    _, key = service.database.run(
        lambda session: ClientRepository(session).add("reader", [Scope.CONNECTIONS])
    )
    reader = {"X-Client-Key": key}
    assert_problem(service.client.post(SESSIONS, json=body, headers=reader), 403, "scope_missing")
    person = app.create()
    path = f"{SESSIONS}/{person.session_id}"
    assert_problem(service.client.get(path, headers=reader), 403, "scope_missing")


def test_a_session_belongs_to_its_app(service: Service, app: App) -> None:
    person, other = app.create(), App.add(service)
    for name in (person.session_id, "0b6d5d0e-6e0e-4a53-9a3e-4f5b1c0f7a11", "x", person.token):
        reply = service.client.get(f"{SESSIONS}/{name}", headers=other.headers)
        assert_problem(reply, 404, "connect_session_not_found")


def test_nothing_readable_is_kept_of_a_session(service: Service, app: App) -> None:
    person = app.create(user_id="member-4711")
    person.sign_in("secret@example.com")
    person.worker_ends(CODE_REQUIRED)
    person.state()
    for key in service.redis.scan_iter("fittrack:connect:*"):
        kept = service.redis.get(key)
        assert isinstance(kept, bytes)
        for secret in (person.token, "member-4711", "secret@example.com", "correct horse"):
            assert secret.encode() not in kept + key
        assert service.redis.ttl(key) > 0


def test_a_session_does_not_open_under_another_name(service: Service, app: App) -> None:
    one, other = app.create(), App.add(service).create()
    names = [f"fittrack:connect:{person.session_id}" for person in (one, other)]
    service.redis.rename(names[0], names[1])
    assert_problem(other.reply(), 401, "unauthorized")
