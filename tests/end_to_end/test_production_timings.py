"""With the timings of production, whatever set the other tests run with."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dev.forked import ForkedProgram
from dev.simulator import Simulator
from dev.stack import PRODUCTION, Stack
from tests.end_to_end.client import Client

pytestmark = [pytest.mark.production_timings, pytest.mark.long]


@pytest.fixture
def own_stack(own_settings: dict[str, str], garmin: Simulator, tmp_path: Path) -> Iterator[Stack]:
    programs = replace(PRODUCTION, launch=ForkedProgram)
    with Stack(
        tmp_path, own_settings, garmin.environment, programs=programs, migrated=True
    ) as stack:
        yield stack
        stack.kill()


def test_a_killed_workers_job_is_taken_over_within_half_a_minute(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start()
    garmin.configure(latency_ms=15_000)
    job = own_client.submit_login("plain-olga@example.com")
    own_client.wait_for_stage(job, "contacting_garmin")
    own_stack.begin_worker().wait_ready()
    own_stack.workers[0].kill()
    killed_at = time.monotonic()
    garmin.configure(latency_ms=0)

    assert own_client.wait(job)["status"] == "succeeded"
    assert time.monotonic() - killed_at < 30
    assert garmin.count("credential_posts") == 1
