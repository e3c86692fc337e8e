"""A worker and an API whose clocks are wrong say so, delete nothing, and count as the others do."""

import re
import sys

from sqlalchemy import create_engine, text

from dev.processes import Process, clean_environment, free_port
from dev.simulator import Simulator
from dev.stack import Stack
from tests.end_to_end.client import Client
from tests.end_to_end.recorders import wait_until
from tests.programs import PROGRAMS

DAYS_100 = 8_640_000


def begin_moved(stack: Stack, module: str, seconds: int, *options: str) -> Process:
    """Start one of the programs with its clock moved; return it without waiting for it."""
    return Process(
        f"moved-{module}",
        [sys.executable, "-m", "tests.moved_clock", str(seconds), module, *options],
        stack.folder / "moved.log",
        clean_environment(stack.settings | stack.garmin),
        lambda _: True,
    )


def rows(stack: Stack, table: str) -> int:
    engine = create_engine(stack.settings["FITTRACK_DATABASE_URL"])
    with engine.connect() as connection:
        count: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
    engine.dispose()
    return count


def test_a_worker_100_days_ahead_says_so_and_deletes_nothing(
    own_stack: Stack, own_client: Client
) -> None:
    own_stack.start()
    session = own_client.login("plain-anna@example.com")
    wait_until(lambda: rows(own_stack, "auth_events") >= 4)
    events = rows(own_stack, "auth_events")

    with begin_moved(own_stack, PROGRAMS.worker, DAYS_100, "-n", "moved@%h") as worker:
        wait_until(lambda: "nothing is deleted" in worker.output())
        assert re.search(r"the clock of this process is wrong: \+8640000 s", worker.output())
        reported = re.compile(r"fittrack_clock_offset_seconds.*worker@.*} 8\.64")
        wait_until(lambda: bool(reported.search(metrics(own_client))))

    assert rows(own_stack, "auth_events") == events
    assert own_client.session(session)["garmin"]["linked"] is True
    assert "clock of this process" not in own_stack.workers[0].output()


def test_an_api_20_minutes_behind_says_so_and_limits_as_the_others_do(
    own_stack: Stack, own_settings: dict[str, str], garmin: Simulator
) -> None:
    own_stack.settings["FITTRACK_LIMIT_LOGIN_PER_ACCOUNT"] = "2/15minute"
    own_stack.start()
    port = free_port()
    body = {"username": "plain-anna@example.com", "password": "wrong"}
    with begin_moved(own_stack, PROGRAMS.api, -1200, "--port", str(port)) as api:
        wait_until(lambda: "the clock of this process is wrong: -1200 s" in api.output())
        behind, right = Client(f"http://127.0.0.1:{port}"), Client(own_stack.url)
        for client in (behind, right):
            assert client.login(body["username"], "wrong")["status"] == "failed"
        for client in (behind, right):
            refused = client.http.post("/api/garmin/login", json=body)
            assert refused.status_code == 429
            assert 0 < int(refused.headers["Retry-After"]) <= 900
            client.close()


def test_a_worker_20_minutes_behind_counts_failures_for_the_others(
    own_stack: Stack, own_client: Client
) -> None:
    own_stack.settings["FITTRACK_LIMIT_LOGIN_PER_ACCOUNT"] = "2/15minute"
    own_stack.begin_api().wait_ready()
    body = {"username": "plain-anna@example.com", "password": "wrong"}
    with begin_moved(own_stack, PROGRAMS.worker, -1200, "-n", "moved@%h"):
        for _ in range(2):
            assert own_client.login(body["username"], "wrong")["status"] == "failed"
        assert own_client.http.post("/api/garmin/login", json=body).status_code == 429


def metrics(client: Client) -> str:
    return client.http.get("/metrics").text
