"""Limits, locks, apps and the audit log, with real workers and a Garmin that counts."""

import json
from typing import Any

import httpx
import pytest

from dev.operator import admin
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack
from tests.end_to_end.client import Client, Json

LOGIN, CODE = "/api/garmin/login", "/api/garmin/login/mfa-complete"


@pytest.fixture
def own_settings(own_settings: dict[str, str]) -> dict[str, str]:
    return own_settings | {"FITTRACK_LIMIT_LOGIN_PER_ACCOUNT": "3/hour"}


@pytest.fixture
def guarded(own_stack: Stack, own_client: Client) -> Client:
    """A service in which three sign-ins of an account may fail."""
    own_stack.start()
    return own_client


def post(client: Client, path: str, body: Json, **headers: str) -> httpx.Response:
    return client.http.post(path, json=body, headers=headers)


def credentials(username: str, password: str = PASSWORD) -> Json:
    return {"username": username, "password": password}


def events(stack: Stack) -> list[dict[str, Any]]:
    return [json.loads(line) for line in admin(stack, "events", "--json").splitlines()]


def test_failed_sign_ins_lock_an_account_and_a_success_resets_the_count(
    guarded: Client, garmin: Simulator
) -> None:
    anna, bob = "plain-anna@example.com", "plain-bob@example.com"
    for _ in range(2):
        assert guarded.login(anna, "wrong")["error"]["code"] == "invalid_credentials"
    assert guarded.login(anna)["status"] == "succeeded"
    for spelling in (anna, anna.upper(), f" {anna} "):
        assert guarded.login(spelling, "wrong")["error"]["code"] == "invalid_credentials"
    posts = garmin.count("credential_posts")

    refused = post(guarded, LOGIN, credentials(anna))

    assert refused.status_code == 429
    assert refused.json()["code"] == "rate_limited"
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert garmin.count("credential_posts") == posts
    assert guarded.login(bob)["status"] == "succeeded"


def test_codes_guessed_over_many_challenges_lock_an_account(
    guarded: Client, garmin: Simulator
) -> None:
    username = "email-anna@example.com"
    for _ in range(3):  # one wrong code each, and the challenge is left alone
        asked = guarded.login(username)
        wrong = "000000" if garmin.code(username) != "000000" else "111111"
        assert guarded.send_code(asked, wrong)["error"]["code"] == "mfa_code_invalid"
    assert post(guarded, LOGIN, credentials(username)).status_code == 429


def test_failures_of_garmin_do_not_count_against_an_account(guarded: Client) -> None:
    for _ in range(5):
        failed = guarded.login("garbage-anna@example.com")
        assert failed["error"]["code"] == "garmin_unavailable"


def test_a_second_sign_in_of_an_account_is_refused_while_the_first_runs(
    client: Client, garmin: Simulator
) -> None:
    username = "email-anna@example.com"
    garmin.configure(latency_ms=1500)
    first = client.submit_login(username)
    second = post(client, LOGIN, credentials(username.upper()))
    assert second.status_code == 409
    assert second.json()["code"] == "sign_in_in_progress"
    assert int(second.headers["Retry-After"]) > 0
    garmin.configure(latency_ms=0)

    asked = client.wait(first)
    assert asked["status"] == "mfa_required"
    assert client.send_code(asked, garmin.code(username))["status"] == "succeeded"
    assert garmin.count("codes_sent") == 1
    assert client.login(username)["status"] == "mfa_required"  # the lock ended with its job


def test_a_repeated_submission_signs_in_once(client: Client, garmin: Simulator) -> None:
    username = "email-anna@example.com"
    replies = [
        post(client, LOGIN, credentials(username), **{"Idempotency-Key": "k1"}) for _ in range(3)
    ]
    assert [reply.status_code for reply in replies] == [202] * 3
    assert len({reply.json()["job_id"] for reply in replies}) == 1
    asked = client.wait(replies[2].json())
    body = {"challenge_id": asked["mfa_challenge_id"], "mfa_code": garmin.code(username)}
    codes = [post(client, CODE, body, **{"Idempotency-Key": "k2"}) for _ in range(3)]
    assert len({reply.json()["poll_token"] for reply in codes}) == 1
    assert client.wait(codes[1].json())["status"] == "succeeded"
    assert garmin.count("credential_posts") == 1
    assert garmin.count("codes_checked") == 1
    late = post(client, CODE, body, **{"Idempotency-Key": "k2"})
    assert client.wait(late.json())["status"] == "succeeded"


def test_an_app_sees_and_deletes_only_its_own_connections(
    client: Client, stack: Stack, garmin: Simulator
) -> None:
    app = {"X-Client-Key": admin(stack, "clients", "add", "app")}
    other = {"X-Client-Key": admin(stack, "clients", "add", "other")}
    username, link = "email-anna@example.com", "/api/users/member-1/garmin"
    job = post(client, LOGIN, credentials(username) | {"user_id": "member-1"}, **app)
    asked = client.wait(job.json())
    body = {"challenge_id": asked["mfa_challenge_id"], "mfa_code": garmin.code(username)}
    for headers in (other, {}):
        refused = post(client, CODE, body, **headers)
        assert refused.status_code == 404
        assert refused.json()["code"] == "challenge_not_found"
    signed_in = client.wait(post(client, CODE, body, **app).json())
    assert signed_in["status"] == "succeeded"

    found = client.http.get(link, headers=app)
    assert found.json()["user"] == signed_in["user"]
    assert found.json()["garmin"]["linked"] is True
    assert client.http.get(link, headers=other).status_code == 404
    assert client.http.delete(link, headers=app).status_code == 204
    assert client.http.get(link, headers=app).status_code == 404
    bearer = {"Authorization": f"Bearer {signed_in['access_token']}"}
    assert client.http.get("/api/session", headers=bearer).status_code == 401


def test_deleting_ones_connection_ends_every_session(client: Client) -> None:
    first, second = (client.login("plain-anna@example.com") for _ in range(2))
    bearers = [{"Authorization": f"Bearer {s['access_token']}"} for s in (first, second)]
    assert client.http.delete("/api/garmin/tokens", headers=bearers[0]).status_code == 204
    for bearer in bearers:
        assert client.http.get("/api/session", headers=bearer).status_code == 401
        assert client.http.delete("/api/garmin/tokens", headers=bearer).status_code == 401


UNLINKINGS = ["/api/garmin/tokens", "/api/sessions", "/api/users/member-1/garmin"]


@pytest.mark.parametrize("path", UNLINKINGS)
@pytest.mark.parametrize("way", ["password", "code"])
def test_unlinking_ends_a_sign_in_that_is_still_going_on(
    client: Client, stack: Stack, garmin: Simulator, way: str, path: str
) -> None:
    name = f"app-{way}-{UNLINKINGS.index(path)}"
    app = {"X-Client-Key": admin(stack, "clients", "add", name)}
    words = "plain" if way == "password" else "email"
    body = credentials(f"{words}-anna@example.com") | {"user_id": "member-1"}
    link = "/api/users/member-1/garmin"

    def code(asked: Json) -> Json:
        answer = {
            "challenge_id": asked["mfa_challenge_id"],
            "mfa_code": garmin.code(body["username"]),
        }
        return post(client, CODE, answer, **app).json()  # type: ignore[no-any-return]

    def submit() -> Json:
        """Return the job that will succeed, unless something ends it."""
        job = post(client, LOGIN, body, **app).json()
        return code(client.wait(job)) if way == "code" else job

    signed_in = client.wait(submit())
    bearer = {"Authorization": f"Bearer {signed_in['access_token']}"}
    garmin.configure(latency_ms=300)
    if way == "code":
        asked = client.wait(post(client, LOGIN, body, **app).json())
        assert client.http.delete(path, headers=bearer | app).status_code == 204
        job = code(asked)
    else:
        job = submit()
        client.wait_for_stage(job, "contacting_garmin")
        assert client.http.delete(path, headers=bearer | app).status_code == 204
    garmin.configure(latency_ms=0)

    failed = client.wait(job)

    assert failed["error"]["code"] == "interrupted", failed
    stays_linked = path == "/api/sessions"
    assert client.http.get(link, headers=app).status_code == (200 if stays_linked else 404)
    assert client.wait(submit())["status"] == "succeeded"
    assert client.http.get(link, headers=app).json()["garmin"]["linked"] is True


def test_removing_an_app_ends_its_sessions(client: Client, stack: Stack) -> None:
    app = {"X-Client-Key": admin(stack, "clients", "add", "removed")}
    body = credentials("plain-anna@example.com")
    through_app = client.wait(post(client, LOGIN, body, **app).json())
    elsewhere = client.login("plain-anna@example.com")
    admin(stack, "clients", "remove", "removed")
    bearer = {"Authorization": f"Bearer {through_app['access_token']}"}
    assert client.http.get("/api/session", headers=bearer).status_code == 401
    assert client.session(elsewhere)["garmin"]["linked"] is True


def test_the_audit_log_records_a_whole_sign_in(
    guarded: Client, own_stack: Stack, garmin: Simulator
) -> None:
    username = "email-anna@example.com"
    wrong = guarded.login(username, "wrong")
    asked = guarded.login(username)
    code = garmin.code(username)
    refused = guarded.send_code(asked, "000000" if code != "000000" else "111111")
    signed_in = guarded.send_code(refused, code)
    bearer = {"Authorization": f"Bearer {signed_in['access_token']}"}
    assert guarded.http.delete("/api/session", headers=bearer).status_code == 204

    told = events(own_stack)

    assert [(event["kind"], event["outcome"]) for event in told] == [
        ("sign_in_requested", "ok"),
        ("sign_in_failed", "invalid_credentials"),
        ("sign_in_requested", "ok"),
        ("code_requested", "email"),
        ("code_submitted", "ok"),
        ("code_wrong", "mfa_code_invalid"),
        ("code_submitted", "ok"),
        ("tokens_stored", "garth"),
        ("session_opened", "ok"),
        ("signed_in", "ok"),
        ("session_ended", "log_out"),
    ]
    assert {event["address"] for event in told} == {"127.0.0.1"}
    assert len({event["account"] for event in told[:-1]}) == 1
    assert {event["job_id"] for event in told if "job_id" in event} >= {
        job["job_id"] for job in (wrong, asked, refused, signed_in)
    }
    assert told[-1]["session_id"] == signed_in["session_id"]
    assert told[-1]["user_id"] == signed_in["user"]["id"]
    text = json.dumps(told)
    secrets = [username, PASSWORD, code, asked["mfa_challenge_id"], signed_in["access_token"]]
    assert [secret for secret in secrets if secret in text] == []


def test_a_request_id_appears_in_the_logs_of_api_and_worker_and_in_the_audit_log(
    guarded: Client, own_stack: Stack
) -> None:
    name = {"X-Request-Id": "follow-me-1"}
    job = post(guarded, LOGIN, credentials("plain-anna@example.com", "wrong"), **name).json()
    assert guarded.wait(job)["status"] == "failed"

    assert {event["request_id"] for event in events(own_stack)} == {"follow-me-1"}
    for process in (own_stack.apis[0], own_stack.workers[0]):
        lines = [line for line in process.output().splitlines() if "follow-me-1" in line]
        assert lines, process.name
        assert all(json.loads(line)["job_id"] == job["job_id"] for line in lines)
