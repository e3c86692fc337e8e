"""GET and DELETE /api/session, DELETE /api/sessions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from shared.accounts.tokens import TokenRepository
from shared.database.models import UserSession
from tests.api.problems import assert_problem
from tests.api.service import Account, Service, bearer

ENDPOINTS = [("GET", "/api/session"), ("DELETE", "/api/session"), ("DELETE", "/api/sessions")]


def who_am_i(service: Service, account: Account) -> httpx.Response:
    return service.client.get("/api/session", headers=account.headers)


def assert_unauthorized(reply: httpx.Response) -> None:
    assert_problem(reply, 401, "unauthorized")
    assert reply.headers["www-authenticate"].startswith("Bearer")


def rfc_3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def test_a_session_shows_its_person_and_garmin_link(service: Service) -> None:
    account = service.sign_in()
    reply = who_am_i(service, account)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    created_at = datetime.fromisoformat(body.pop("created_at"))
    assert created_at.utcoffset() == timedelta(0)
    assert account.session_expires_at - created_at == timedelta(seconds=3600)
    since = datetime.fromisoformat(body["garmin"].pop("state_since"))
    assert abs(created_at - since) < timedelta(seconds=5)
    assert body == {
        "session_id": str(account.session_id),
        "user": {"id": str(account.user_id), "display_name": "Läufer 🏃"},
        "expires_at": rfc_3339(account.session_expires_at),
        "garmin": {
            "linked": True,
            "state": "active",
            "state_reason": None,
            "access": "read_write",
            "method": "password",
            "domain": "garmin.com",
            "driver": "garth",
            "access_token_expires_at": rfc_3339(account.tokens.access_expires_at),
            "refreshable_until": rfc_3339(account.tokens.refresh_expires_at),
        },
    }


def test_a_session_without_garmin_tokens_is_not_linked(service: Service) -> None:
    account = service.sign_in()
    keyring = service.keyring
    service.database.run(lambda s: TokenRepository(s, keyring).delete(account.user_id))
    assert who_am_i(service, account).json()["garmin"] == {
        "linked": False,
        "state": None,
        "state_reason": None,
        "state_since": None,
        "access": None,
        "method": None,
        "domain": None,
        "driver": None,
        "access_token_expires_at": None,
        "refreshable_until": None,
    }


def test_expired_garmin_tokens_do_not_count_as_linked(service: Service) -> None:
    account = service.sign_in()
    past = datetime.now(UTC) - timedelta(seconds=1)
    tokens = account.tokens.model_copy(update={"refresh_expires_at": past})
    keyring = service.keyring
    service.database.run(lambda s: TokenRepository(s, keyring).save(account.user_id, tokens))
    garmin = who_am_i(service, account).json()["garmin"]
    assert garmin["linked"] is False
    assert (garmin["state"], garmin["state_reason"]) == ("sign_in_required", "expired")
    assert datetime.fromisoformat(garmin["state_since"]) == past


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic eDp5"},
        bearer("unknown"),
        bearer("x" * 43),
        bearer("x" * 20_000),
        {"Authorization": "Bearer \xff".encode("latin-1")},
    ],
    ids=["none", "empty", "no token", "basic", "unknown", "unknown 43", "huge", "not ASCII"],
)
def test_without_a_valid_token_nothing_is_shown_or_changed(
    service: Service, method: str, path: str, headers: dict[str, str]
) -> None:
    assert_unauthorized(service.client.request(method, path, headers=headers))


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_a_poll_token_is_not_an_access_token(service: Service, method: str, path: str) -> None:
    assert_unauthorized(service.client.request(method, path, headers=service.submit().headers))


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_an_expired_session_is_unauthorized(service: Service, method: str, path: str) -> None:
    account = service.sign_in()
    now = datetime.now(UTC)
    assert who_am_i(service, account).status_code == 200

    def expire(session: Session) -> None:
        session.execute(
            update(UserSession)
            .where(UserSession.id == account.session_id)
            .values(created_at=now - timedelta(hours=2), expires_at=now - timedelta(seconds=1))
        )

    service.database.run(expire)
    assert_unauthorized(service.client.request(method, path, headers=account.headers))


def test_logging_out_ends_this_session_and_no_other(service: Service) -> None:
    here, there = service.sign_in("same person"), service.sign_in("same person")
    assert here.user_id == there.user_id
    reply = service.client.delete("/api/session", headers=here.headers)
    assert (reply.status_code, reply.content) == (204, b"")
    assert_unauthorized(who_am_i(service, here))
    assert who_am_i(service, there).status_code == 200


def test_logging_out_everywhere_ends_all_sessions_of_the_person(service: Service) -> None:
    here, there, other = service.sign_in("a person"), service.sign_in("a person"), service.sign_in()
    reply = service.client.delete("/api/sessions", headers=here.headers)
    assert (reply.status_code, reply.content) == (204, b"")
    assert_unauthorized(who_am_i(service, here))
    assert_unauthorized(who_am_i(service, there))
    assert who_am_i(service, other).status_code == 200


@pytest.mark.parametrize("path", ["/api/session", "/api/sessions"])
def test_logging_out_twice_is_unauthorized(service: Service, path: str) -> None:
    account = service.sign_in()
    assert service.client.delete(path, headers=account.headers).status_code == 204
    assert_unauthorized(service.client.delete(path, headers=account.headers))


def test_logging_out_keeps_the_garmin_link(service: Service) -> None:
    here, there = service.sign_in("linked"), service.sign_in("linked")
    service.client.delete("/api/session", headers=here.headers)
    assert who_am_i(service, there).json()["garmin"]["linked"] is True


def test_concurrent_log_outs_are_all_answered(service: Service) -> None:
    account = service.sign_in()

    def log_out(path: str) -> int:
        return service.client.delete(path, headers=account.headers).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(log_out, ["/api/session", "/api/sessions"] * 8))
    assert statuses == [204] + [401] * 15
    assert_unauthorized(who_am_i(service, account))
