"""The Celery task of all kinds of job."""

from typing import Never

from celery import Celery

from dev.short import SHORT
from tests.logs import captured_logs, parsed
from worker.task import register


def fail(job_id: str) -> Never:
    raise ValueError(f"canary of {job_id}")


def test_a_bug_in_a_task_is_logged_with_its_job_and_without_its_message() -> None:
    app = Celery(set_as_current=False)
    register(app, fail, SHORT)
    with captured_logs() as log:
        app.tasks["garmin.login"].apply(args=["one"], task_id="one")
    [line] = [line for line in parsed(log.getvalue()) if line["level"] == "error"]
    assert line["logger"] == "celery.app.trace"
    assert line["event"] == "Task garmin.login[one] raised unexpected: ValueError"
    assert line["exception"].startswith("ValueError at ")
    assert "canary" not in str(line)
