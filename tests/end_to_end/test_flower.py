"""What an operator sees of jobs in Flower."""

from pathlib import Path

import httpx

from dev.simulator import Simulator
from dev.stack import Stack
from tests.end_to_end.client import Client
from tests.end_to_end.recorders import Flower, Recording


def test_the_list_of_tasks_shows_how_each_job_ended(
    own_stack: Stack, own_client: Client, garmin: Simulator, tmp_path: Path
) -> None:
    own_stack.start()
    with Flower(tmp_path, own_stack.settings["FITTRACK_REDIS_URL"], Recording()) as flower:
        ended = {
            "succeeded": own_client.submit_login("plain-fay@example.com"),
            "mfa_required": own_client.submit_login("email-fay@example.com"),
            "invalid_credentials": own_client.submit_login("plain-fred@example.com", "wrong"),
        }
        for job in ended.values():
            own_client.wait(job)
            flower.wait_until_told(job["job_id"])
        tasks = flower.client.get("/api/tasks").raise_for_status().json()
        columns = flower.columns()
        statuses = {
            path: httpx.get(flower.client.base_url.join(path), trust_env=False).status_code
            for path in ("/metrics", "/tasks", "/healthcheck")
        }
        metrics = flower.client.get("/metrics")
        rows = flower.rows()
    for result, job in ended.items():
        assert tasks[job["job_id"]]["state"] == "SUCCESS"  # Garmin judged it: the task is done
        assert tasks[job["job_id"]]["result"] == f"'{result}'"
        assert rows[job["job_id"]]["result"] == f"'{result}'"
    assert "result" in columns
    assert statuses == {"/metrics": 401, "/tasks": 401, "/healthcheck": 200}  # without a password
    assert "flower_events_total" in metrics.raise_for_status().text
