"""PostgreSQL gone for longer than any deadline, and than any job lives that holds no tokens."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from dev.servers import PostgresServer
from dev.simulator import Simulator
from dev.stack import LIMITS_OFF, Stack, new_key
from tests.end_to_end.client import Client
from tests.end_to_end.connected import DI, App, eventually
from tests.end_to_end.database import rows
from tests.programs import FULL, PROGRAMS, TIMINGS

JOB_TTL = 120
"""The shortest that can be set; a login's deadline is as long."""

CROWD = 40
"""More than a worker has threads."""


@pytest.fixture
def postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may stop."""
    folder = server_folder / "long-away"
    folder.mkdir()
    with PostgresServer(folder) as server:
        assert isinstance(server, PostgresServer)
        yield server


def test_tokens_survive_a_database_outage_longer_than_a_jobs_lifetime(
    postgres: PostgresServer,
    real_redis_url: str,
    garmin: Simulator,
    tmp_path: Path,
    server_folder: Path,
) -> None:
    settings = {
        "FITTRACK_REDIS_URL": real_redis_url,
        "FITTRACK_DATABASE_URL": postgres.url,
        "FITTRACK_ENCRYPTION_KEYS": new_key("test"),
        **LIMITS_OFF,
        "FITTRACK_JOB_TTL": str(JOB_TTL),
    }
    with Stack(tmp_path, settings, garmin.environment, programs=PROGRAMS) as stack:
        client = Client(stack.start().url)
        app = App(stack, garmin, client, "plain-refreshed@example.com")
        app.connect("garminconnect")
        asked, other = (client.login(f"email-{name}@example.com") for name in ("una", "vic"))
        garmin.configure(latency_by_path={DI: 1000.0})
        assert app.ask(wait=0).status_code == 202
        eventually(app.begun)
        postgres.stop()
        jobs = [client.submit_login(f"plain-crowd-{number}@example.com") for number in range(CROWD)]
        right = garmin.code("email-una@example.com")
        jobs.append(client.submit_code(asked["mfa_challenge_id"], right))
        for job in jobs:
            client.wait_for_stage(job, "storing")
        gone_since = time.monotonic()

        # Who needs no database is served, however many wait for one.
        wrong = "000000" if garmin.code("email-vic@example.com") != "000000" else "111111"
        assert client.send_code(other, wrong)["error"]["code"] == "mfa_code_invalid"
        outlive_a_job(real_redis_url)
        while time.monotonic() < gone_since + 3 * (TIMINGS.store_patience + TIMINGS.retry_delay):
            for job in jobs:
                view = client.poll(job).json()
                assert (view["status"], view["stage"]) == ("running", "storing")
            time.sleep(1)

        with PostgresServer(server_folder / "long-away", postgres.port):
            for job in jobs:
                signed_in = client.wait(job)
                assert signed_in["status"] == "succeeded", signed_in
                assert client.session(signed_in)["garmin"]["linked"] is True
            assert app.is_own(app.refreshed())
            assert app.refreshes() == 1
            assert garmin.count("di_refreshes_repeated") == garmin.count("di_refreshes_reused") == 0
            stored = len(jobs) + 1
            assert rows(postgres.url) == {
                "users": stored,
                "garmin_tokens": stored,
                "user_sessions": stored,
            }
        client.close()
    assert garmin.count("credential_posts") == stored + 1
    assert garmin.count("di_refreshes_reused") == garmin.count("di_refreshes_repeated") == 0
    assert garmin.count("codes_sent") == garmin.count("codes_checked") == 2
    with Redis.from_url(real_redis_url) as redis:
        for job in jobs:
            assert 0 < redis.ttl(f"fittrack:job:{job['job_id']}") <= JOB_TTL


def outlive_a_job(redis_url: str) -> None:
    """Let what is kept for a job grow as old as a job gets that holds no tokens."""
    if FULL:
        time.sleep(JOB_TTL + 10)
        return
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter("fittrack:job:*"):
            if not key.endswith(b":lease"):
                redis.pexpire(key, redis.pttl(key) - 1000 * (JOB_TTL + 10))
