"""Access tokens: the fresh one at once, a stale one refreshed once, however many ask."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from shared.accounts.refreshes import RefreshLog
from shared.accounts.tokens import TokenRepository
from shared.audit.delivery import deliver
from shared.audit.outbox import EventOutbox
from shared.database.models import ApiClient, AuthEvent
from shared.errors import ClientRefusedError, GarminUnavailableError
from shared.jobs.states import Failure
from shared.origin import UNKNOWN
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from tests.api.problems import assert_problem
from tests.api.service import Service, eventually, in_process
from tests.api.test_health import figures
from tests.api.token_app import MINE, PATH, App, tokens


@pytest.fixture
def app(service: Service) -> App:
    return App(service)


def test_a_fresh_token_is_answered_at_once(app: App) -> None:
    app.sign_in(tokens("access"))
    reply = app.ask()
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert 86_300 < body.pop("expires_in") <= 86_400
    assert datetime.fromisoformat(body.pop("expires_at")) == app.row.access_expires_at
    user = {"id": str(app.row.user_id), "display_name": "Anna", "garmin_display_name": "anna7"}
    assert body == {
        "access_token": "access",
        "token_type": "Bearer",
        "api_base": "https://connectapi.garmin.com",
        "access": "read_write",
        "domain": "garmin.com",
        "method": "password",
        "user": user,
    }
    assert app.created() == 0


def test_no_body_is_needed(app: App) -> None:
    app.sign_in(tokens("access"))
    reply = app.service.client.post(PATH, headers=app.headers)
    assert reply.json()["access_token"] == "access"


def test_a_person_gets_their_own_token(app: App) -> None:
    app.sign_in(tokens("access"))
    reply = app.service.client.post(MINE, headers=app.bearer)
    assert reply.json()["access_token"] == "access"
    assert_problem(app.service.client.post(MINE), 401, "unauthorized")


def test_a_stale_token_is_refreshed_by_one_job(app: App) -> None:
    app.sign_in(tokens("stale", timedelta(seconds=200)))
    first = app.ask()
    assert (first.status_code, first.json()) == (202, {"status": "refreshing"})
    assert first.headers["retry-after"] == "1"
    assert app.ask().status_code == 202
    assert app.created() == 1
    app.work(tokens("renewed"))
    assert app.ask().json()["access_token"] == "renewed"
    assert app.created() == 1


def test_min_valid_for_decides_what_is_stale(app: App) -> None:
    app.sign_in(tokens("access", timedelta(seconds=200)))
    assert app.ask(min_valid_for=100).status_code == 200
    assert app.ask(min_valid_for=300).status_code == 202


def test_callers_wait_for_one_refresh(app: App) -> None:
    app.sign_in(tokens("stale", timedelta(seconds=-5)))
    app.service.until_listening()
    with ThreadPoolExecutor(40) as pool:
        replies = [pool.submit(app.ask, 20) for _ in range(40)]
        app.work(tokens("renewed"))
        bodies = [reply.result().json() for reply in replies]
    assert {body["access_token"] for body in bodies} == {"renewed"}
    assert app.created() == 1


def test_a_rejected_token_is_refreshed_only_while_it_is_the_stored_one(app: App) -> None:
    app.sign_in(tokens("rejected"))
    digest = hashlib.sha256(b"rejected").hexdigest()
    app.service.until_listening()
    with ThreadPoolExecutor(20) as pool:
        replies = [pool.submit(app.ask, 20, rejected=digest.upper()) for _ in range(20)]
        app.work(tokens("renewed"))
        bodies = [reply.result().json() for reply in replies]
    assert {body["access_token"] for body in bodies} == {"renewed"}
    assert app.ask(rejected=digest).json()["access_token"] == "renewed"
    assert app.created() == 1


def refused(app: App) -> None:
    cooldowns = DriverCooldowns(app.service.redis, use=DriverUse.REFRESH)
    turn = cooldowns.enter("garminconnect", str(app.token_id))
    cooldowns.refused(turn, ClientRefusedError(90))


@pytest.mark.parametrize("before", [True, False])
def test_a_token_that_is_still_valid_outlives_a_failed_refresh(app: App, before: bool) -> None:
    app.sign_in(tokens("valid", timedelta(seconds=200)))
    ask = _failing(app, before)
    assert ask().json()["access_token"] == "valid"


@pytest.mark.parametrize("before", [True, False])
def test_a_failed_refresh_of_a_dead_token_is_a_503(app: App, before: bool) -> None:
    app.sign_in(tokens("dead", timedelta(seconds=-1)))
    reply = _failing(app, before)()
    assert_problem(reply, 503, "service_unavailable")
    assert reply.json()["unavailable"] == ["garmin"]
    assert 80 <= int(reply.headers["retry-after"]) <= 90


def test_a_rejected_token_is_not_answered_again(app: App) -> None:
    app.sign_in(tokens("rejected"))
    refused(app)
    reply = app.ask(rejected=hashlib.sha256(b"rejected").hexdigest())
    assert_problem(reply, 503, "service_unavailable")


def _failing(app: App, before: bool) -> Callable[[], httpx.Response]:
    """Let the refresh fail: before it is submitted, or by its worker."""
    if before:
        refused(app)
        return app.ask

    def ask() -> httpx.Response:
        app.service.until_listening()
        with ThreadPoolExecutor(1) as pool:
            reply = pool.submit(app.ask, 20)
            eventually(lambda: app.job_id() is not None)
            refused(app)
            app.work(None, Failure.of(GarminUnavailableError(90)))
            return reply.result()

    return ask


def test_a_required_sign_in_is_a_409_with_its_reason(app: App) -> None:
    app.sign_in(tokens("access"))
    keyring, row = app.service.keyring, app.row
    app.service.database.run(lambda s: RefreshLog(s, keyring).reject(row.id, row.generation))
    reply = app.ask()
    assert_problem(reply, 409, "sign_in_required")
    assert reply.json()["reason"] == "rejected"
    assert datetime.fromisoformat(reply.json()["since"]) == app.row.state_since
    link = app.service.client.get("/api/users/member-1/garmin", headers=app.headers).json()
    assert (link["garmin"]["linked"], link["garmin"]["state"]) == (False, "sign_in_required")
    app.sign_in(tokens("again"))
    assert app.ask().json()["access_token"] == "again"


def test_a_sign_in_that_a_refresh_turns_out_to_need_is_a_409(app: App) -> None:
    app.sign_in(tokens("stale", timedelta(seconds=-1)))
    app.service.until_listening()
    keyring, row = app.service.keyring, app.row
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(app.ask, 20)
        eventually(lambda: app.job_id() is not None)
        app.service.database.run(lambda s: RefreshLog(s, keyring).reject(row.id, row.generation))
        app.work(None)
        assert_problem(reply.result(), 409, "sign_in_required")


def test_requests_are_counted_by_how_they_were_answered(app: App) -> None:
    def counts() -> dict[str, float]:
        found = figures(app.service.client.get("/metrics").text)
        totals = found.get("fittrack_token_requests_total", {})
        return {dict(labels)["result"]: count for labels, count in totals.items()}

    def counted(result: str, ask: Callable[[], object]) -> None:
        before = counts()
        ask()
        after = counts()
        changed = {name: after[name] - before.get(name, 0) for name in after}
        assert {name: count for name, count in changed.items() if count} == {result: 1}

    counted("link_not_found", app.ask)
    app.sign_in(tokens("access"))
    counted("fresh", app.ask)
    counted("fresh", lambda: app.service.client.post(MINE, headers=app.bearer))
    counted("invalid_request", lambda: app.ask(min_valid_for=-1))
    counted("unauthorized", lambda: app.service.client.post(PATH))
    app.sign_in(tokens("stale", timedelta(seconds=200)))
    counted("refreshing", app.ask)
    app.work(None)  # no job is left over that could end before the next caller asks
    app.sign_in(tokens("stale", timedelta(seconds=200)))

    def refresh() -> None:
        app.service.until_listening()
        with ThreadPoolExecutor(1) as pool:
            reply = pool.submit(app.ask, 20)
            app.work(tokens("renewed"))
            assert reply.result().json()["access_token"] == "renewed"

    counted("refreshed", refresh)
    app.sign_in(tokens("stale", timedelta(seconds=200)))
    refused(app)
    counted("stale", app.ask)
    row = app.row
    app.service.database.run(
        lambda s: RefreshLog(s, app.service.keyring).reject(row.id, row.generation)
    )
    counted("sign_in_required", app.ask)


def test_other_apps_and_ids_find_nothing(app: App) -> None:
    app.sign_in(tokens("access"))
    other = App(app.service)
    assert_problem(other.ask(), 404, "link_not_found")
    elsewhere = app.service.client.post("/api/users/member-2/garmin/token", headers=app.headers)
    assert_problem(elsewhere, 404, "link_not_found")
    app.service.database.run(
        lambda s: TokenRepository(s, app.service.keyring).delete(app.row.user_id)
    )
    assert_problem(app.ask(), 404, "link_not_found")
    assert_problem(app.service.client.post(PATH), 401, "unauthorized")


def test_a_key_without_the_scope_gets_no_token(app: App) -> None:
    app.sign_in(tokens("access"))
    of_app = update(ApiClient).where(ApiClient.id == app.origin.client_id)
    app.service.database.run(lambda s: s.execute(of_app.values(scopes="sign_in,connections")))
    assert_problem(app.ask(), 403, "scope_missing")


@pytest.mark.parametrize(
    "body",
    [
        {"min_valid_for": -1},
        {"min_valid_for": 3601},
        {"rejected": "x" * 64},
        {"rejected": "ab"},
        {"other": 1},
    ],
)
def test_an_invalid_request_is_refused(app: App, body: dict[str, Any]) -> None:
    app.sign_in(tokens("access"))
    assert_problem(app.ask(**body), 422, "invalid_request")


def test_reads_within_a_minute_are_one_event_with_a_count(app: App) -> None:
    app.sign_in(tokens("access"))
    for _ in range(3):
        app.ask()
    outbox = EventOutbox(app.service.redis)
    assert outbox.end_counts() == 0  # the minute is not over
    name = _text(app.service.redis.zrange("fittrack:events:counted", 0, -1)[0])
    app.service.redis.zadd("fittrack:events:counted", {name: 1})
    assert outbox.end_counts() == 1
    while deliver(outbox, app.service.database):
        pass
    read = select(AuthEvent).where(
        AuthEvent.kind == "tokens_read", AuthEvent.client_id == app.origin.client_id
    )
    [event] = app.service.database.run(lambda s: list(s.scalars(read)))
    assert (event.outcome, event.user_id) == ("3", app.row.user_id)
    assert event.request_id is not None
    assert not app.service.redis.exists(f"fittrack:events:counted:{name}")


def _text(name: object) -> str:
    assert isinstance(name, bytes)
    return name.decode()


def test_a_persons_session_may_be_kept_from_tokens(
    app: App,
) -> None:
    app.sign_in(tokens("access"))
    values = app.service.stack.settings | {"FITTRACK_SESSION_TOKENS": "false"}
    with in_process(values) as client:
        assert_problem(client.post(MINE, headers=app.bearer), 403, "scope_missing")
        assert client.post(PATH, headers=app.headers).status_code == 200


def test_an_app_gets_no_token_by_a_session_that_it_has_opened(app: App) -> None:
    app.sign_in(tokens("access"))
    of_app = update(ApiClient).where(ApiClient.id == app.origin.client_id)
    app.service.database.run(lambda s: s.execute(of_app.values(scopes="sign_in,connections")))
    reply = app.service.client.post(MINE, headers=app.bearer)
    assert_problem(reply, 403, "scope_missing")
    app.origin = UNKNOWN
    app.sign_in(tokens("access"))
    assert app.service.client.post(MINE, headers=app.bearer).status_code == 200


def test_an_app_may_ask_so_often_and_others_go_on(app: App) -> None:
    app.sign_in(tokens("access"))
    other = App(app.service)
    other.sign_in(tokens("other"))
    values = app.service.stack.settings | {"FITTRACK_LIMIT_TOKENS_PER_CLIENT": "2/minute"}
    with in_process(values) as client:
        answers = [client.post(PATH, headers=app.headers) for _ in range(3)]
        assert [reply.status_code for reply in answers] == [200, 200, 429]
        assert_problem(answers[-1], 429, "rate_limited")
        assert client.post(PATH, headers=other.headers).status_code == 200


@pytest.mark.parametrize("by", ["app", "person"])
def test_who_disconnects_during_a_refresh_has_no_token_handed_out_after_it(
    app: App, by: str
) -> None:
    """Another app still has the tokens."""
    app.sign_in(tokens("stale", timedelta(seconds=-5)))
    other = App(app.service)
    other.guid = app.guid
    other.sign_in(tokens("stale", timedelta(seconds=-5)))
    app.service.until_listening()
    client = app.service.client
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(app.ask, 20) if by == "app" else pool.submit(app.ask_as_person, 20)
        eventually(lambda: other.job_id() is not None)
        gone = client.delete("/api/users/member-1/garmin", headers=app.headers)
        assert gone.status_code == 204
        other.work(tokens("renewed"))
        assert asked.result().status_code == (404 if by == "app" else 401)
    assert other.ask().json()["access_token"] == "renewed"


def test_calling_each_token_rejected_does_not_refresh_without_end(app: App) -> None:
    app.sign_in(tokens("0"))
    values = app.service.stack.settings | {
        "FITTRACK_LIMIT_REFRESHES_PER_CONNECTION": "2/minute",
    }
    with in_process(values) as client:

        def reject(token: str) -> httpx.Response:
            body = {"rejected": hashlib.sha256(token.encode()).hexdigest()}
            return client.post(PATH, json=body, headers=app.headers)

        for old, new in [("0", "1"), ("1", "2")]:
            for _ in range(3):  # each generation counts once
                assert reject(old).status_code == 202
            app.work(tokens(new))
        refused = reject("2")
        assert_problem(refused, 503, "service_unavailable")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        mine = client.post(
            MINE, json={"rejected": hashlib.sha256(b"2").hexdigest()}, headers=app.bearer
        )
        assert mine.status_code == 503
        assert client.post(PATH, headers=app.headers).json()["access_token"] == "2"
    assert app.created() == 2
