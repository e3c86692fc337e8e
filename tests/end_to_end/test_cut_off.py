"""An API process that dies under a waiting client, and a broker that goes while people submit."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from dev.servers import RedisServer
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack
from tests.end_to_end.client import Client
from tests.programs import PROGRAMS


def test_a_job_polled_at_a_killed_api_process_is_found_at_another(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.begin_api().wait_ready()
    job = own_client.submit_login("plain-ria@example.com")
    request = [
        f"GET {job['status_url']}?wait=30 HTTP/1.1",
        "Host: api.example",
        f"Authorization: Bearer {job['poll_token']}",
    ]
    with socket.create_connection(("127.0.0.1", own_stack.port), timeout=60) as poll:
        poll.sendall("\r\n".join([*request, "", ""]).encode())
        own_stack.apis[0].kill()
        # No worker: had it lived, nobody would have been answered yet.
        assert nothing_more(poll)

    with Stack(own_stack.folder, own_stack.settings, programs=PROGRAMS) as other:
        other.begin_api().wait_ready()
        at_other = Client(other.url)
        assert at_other.poll(job).json()["status"] == "queued"
        own_stack.begin_worker().wait_ready()
        assert at_other.wait(job)["status"] == "succeeded"
        at_other.close()
    assert garmin.count("credential_posts") == 1


def nothing_more(connection: socket.socket) -> bool:
    try:
        return connection.recv(1024) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for the messages alone, which a test may stop."""
    (tmp_path / "broker").mkdir()
    with RedisServer(tmp_path / "broker") as server:
        assert isinstance(server, RedisServer)
        yield server


def test_submissions_during_a_broker_outage_leave_nothing_behind(
    broker: RedisServer, own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.settings["FITTRACK_BROKER_URL"] = broker.url
    own_stack.start()
    asked = own_client.login("email-sid@example.com")
    credentials = {"username": "plain-tea@example.com", "password": PASSWORD}
    code = {
        "challenge_id": asked["mfa_challenge_id"],
        "mfa_code": garmin.code("email-sid@example.com"),
    }
    with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
        before = kept(redis)
        broker.kill()
        for path, body in (("login", credentials), ("login/mfa-complete", code)):
            refused = own_client.http.post(f"/api/garmin/{path}", json=body)
            assert refused.status_code == 503, refused.text
            assert refused.json()["code"] == "service_unavailable"
            assert kept(redis) == before
    with RedisServer(broker.folder, broker.port):
        signed_in = own_client.send_code(asked, code["mfa_code"])
        assert signed_in["status"] == "succeeded", signed_in
        assert own_client.login("plain-tea@example.com")["status"] == "succeeded"
    assert garmin.count("credential_posts") == 2
    assert garmin.count("codes_sent") == garmin.count("codes_checked") == 1


def kept(redis: Redis) -> dict[bytes, object]:
    """Jobs and their inputs; challenges, and whether one is reserved."""
    return {
        key: redis.hexists(key, "reserved_until") if b":challenge:" in key else None
        for pattern in ("fittrack:job:*", "fittrack:challenge:*")
        for key in redis.scan_iter(pattern)
    }
