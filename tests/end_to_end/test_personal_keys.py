"""Connections by Personal API key through the whole service, from the import to the revocation."""

import hashlib
from pathlib import Path

import httpx
import pytest
from redis import Redis

from dev.simulator import Simulator
from dev.stack import Stack
from tests.client.cli.program import Program
from tests.dev.wire import wire
from tests.end_to_end.client import Client, Json
from tests.end_to_end.connected import App, change, eventually
from tests.programs import TIMINGS

SETTINGS = "/userprofile-service/userprofile/settings"


@pytest.fixture
def app(stack: Stack, client: Client, garmin: Simulator) -> App:
    return App(stack, garmin, client)


def import_key(app: App, key: str) -> Json:
    body = {"personal_api_key": key, "user_id": "tessa"}
    job = app.client.http.post("/api/garmin/import", json=body, headers=app.headers)
    assert job.status_code == 202, job.text
    return app.client.wait(job.json())


def state(app: App) -> Json:
    link: Json = app.client.http.get("/api/users/tessa/garmin", headers=app.headers).json()
    return link


def reads(app: App, token: Json) -> int:
    """Read the settings with a token; return the HTTP status."""
    with wire(app.garmin) as browser:
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        return browser.get(f"{token['api_base']}{SETTINGS}", headers=headers).status_code


def another(app: App, rejected: Json) -> httpx.Response:
    """Ask for a token in place of one that Garmin has answered with 401."""
    digest = hashlib.sha256(rejected["access_token"].encode()).hexdigest()
    return app.client.http.post(
        app.path, params={"wait": 30}, json={"rejected": digest}, headers=app.headers
    )


def key_recheck_passes(app: App) -> None:
    """Move into the past when Garmin refused a key, as Redis and the database know it."""
    with Redis.from_url(app.stack.settings["FITTRACK_REDIS_URL"]) as redis:
        redis.delete(*redis.scan_iter("fittrack:refresh-rest:*"))
        for key in redis.scan_iter("fittrack:key-refused:*"):
            redis.pexpire(key, redis.pttl(key) - int(TIMINGS.key_recheck * 1000))
    change(app.stack, "UPDATE garmin_tokens SET refresh_due_at = now()")


def test_a_key_gives_tokens_until_it_is_revoked(app: App) -> None:
    assert import_key(app, f"key-{app.username}")["status"] == "succeeded"
    first = app.ask().json()
    assert (first["access"], first["method"]) == ("read", "personal_api_key")
    assert reads(app, first) == 200
    second = another(app, first).json()
    assert second["access_token"] != first["access_token"]

    app.garmin.revoke_keys(app.username)
    assert reads(app, second) == 401
    reply = another(app, second)
    assert reply.status_code == 503, reply.text
    assert "Retry-After" in reply.headers
    assert state(app)["garmin"]["state"] == "active"
    # Nobody asks any more: the second check is the keep-alive's.
    key_recheck_passes(app)
    eventually(lambda: state(app)["garmin"]["state"] == "sign_in_required")
    ended = app.ask()
    assert (ended.status_code, ended.json()["reason"]) == (409, "key_revoked")
    assert import_key(app, app.garmin.make_key(app.username))["status"] == "succeeded"
    assert reads(app, app.ask().json()) == 200


def test_a_key_and_a_password_live_side_by_side(app: App) -> None:
    app.connect("garminconnect")
    assert import_key(app, f"key-{app.username}")["status"] == "succeeded"
    assert app.ask().json()["access"] == "read"
    app.garmin.revoke_keys(app.username)
    app.connect("garminconnect")
    assert app.ask().json()["access"] == "read_write"


def test_the_command_line_connects_and_prints_a_token(app: App, tmp_path: Path) -> None:
    program = Program(tmp_path, app.stack.url)
    connected = program.run("key", stdin=f"key-{app.username}\n")
    assert connected.exit_code == 0, connected.err
    [token] = program.run("token", "--json").objects
    assert (token["access"], reads(app, token)) == ("read", 200)


@pytest.mark.parametrize("key", ["key-keyrevoked-tessa@example.com", "no-such-key"])
def test_a_key_that_garmin_refuses_connects_nobody(app: App, key: str) -> None:
    failed = import_key(app, key)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "tokens_rejected")
    assert app.ask().status_code == 404


def test_a_key_without_a_guid_joins_the_account_of_the_same_user_id(app: App) -> None:
    app.username = "keynoguid-tessa@example.com"
    app.connect("garminconnect")
    password = app.ask().json()["user"]["id"]
    assert import_key(app, f"key-{app.username}")["status"] == "succeeded"
    token = app.ask().json()
    assert (token["access"], token["user"]["id"]) == ("read", password)
