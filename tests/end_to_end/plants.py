"""Leaks made on purpose, one for each recorded place: a recorder that is deaf can't pass."""

import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

from sqlalchemy import create_engine, text

from dev.processes import Process, clean_environment
from dev.stack import BIN
from shared.audit.events import Event, EventKind
from shared.audit.outbox import EventOutbox
from shared.jobs.queue import JobQueue
from shared.jobs.states import JobKind
from shared.origin import UNKNOWN
from shared.redis.connection import Redis, connect
from tests.end_to_end import recorders as at
from tests.end_to_end.detector import Canary
from tests.end_to_end.flows import Flows
from worker.celery_app import celery_app

Plant = Callable[[Flows, str], None]


def set_in_redis(flows: Flows, secret: str) -> None:
    with _redis(flows) as redis:
        redis.set("planted", secret)


def set_in_redis_and_deleted(flows: Flows, secret: str) -> None:
    with _redis(flows) as redis:
        redis.set("planted for a moment", secret.encode() + b'"\0\\')
        redis.delete("planted for a moment")


def handed_to_a_task(flows: Flows, secret: str) -> None:
    """As a job id that no job has: workers, events and Flower see a task's arguments."""
    JobQueue(flows.stack.settings["FITTRACK_REDIS_URL"], 5).put(JobKind.LOGIN, secret)


def told_in_an_event(flows: Flows, secret: str) -> None:
    app = celery_app(flows.stack.settings["FITTRACK_REDIS_URL"])
    with app.events.default_dispatcher() as dispatcher:
        dispatcher.send("planted", how=secret)


def logged(flows: Flows, secret: str) -> None:
    """By a process that logs as the stack's others do, and looks like nothing to hide."""
    lines = (
        "import logging",
        "from shared.logs.configuration import configure_logging",
        "configure_logging('DEBUG', 'auto')",
        f"logging.getLogger('planted').debug({secret!r})",
    )
    code = "; ".join(lines)
    log = flows.stack.folder / "planted.log"
    with Process(
        "planted", [sys.executable, "-c", code], log, clean_environment(), lambda p: p.wait(60) == 0
    ):
        pass


def stored_in_a_row(flows: Flows, secret: str) -> None:
    engine = create_engine(flows.stack.settings["FITTRACK_DATABASE_URL"])
    with engine.begin() as connection:
        query = text("UPDATE users SET display_name = :secret")
        connection.execute(query, {"secret": secret})
    engine.dispose()


def asked_of_the_database(flows: Flows, secret: str) -> None:
    engine = create_engine(flows.stack.settings["FITTRACK_DATABASE_URL"])
    with engine.connect() as connection:
        connection.execute(text("SELECT :secret"), {"secret": secret})
    engine.dispose()


def counted_under_a_label(flows: Flows, secret: str) -> None:
    """In the counters that Redis keeps for /metrics."""
    with _redis(flows) as redis:
        assert redis.hincrby("fittrack:jobs-ended", f"login:{secret}", 1) == 1


def echoed_in_an_error(flows: Flows, secret: str) -> None:
    """By a server that tells its client what it got, as ours must not."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404, f"no {self.path} here")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        reply = flows.client.http.get(f"http://127.0.0.1:{server.server_port}/{secret}")
        thread.join()
    assert reply.status_code == 404


def printed(flows: Flows, secret: str) -> None:
    """By our own command line, which repeats what it does not know."""
    command = [str(BIN / "fittrack-auth"), secret]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    flows.tell_terminal(said.stderr)


def told_in_the_audit_log(flows: Flows, secret: str) -> None:
    """Through Redis into the database; who looks at the log brings what still waits in Redis."""
    event = Event.of(EventKind.RATE_LIMITED, UNKNOWN, secret)
    with _redis(flows) as redis:
        EventOutbox(redis).add(event)
    flows.admin("events", "--json", "--kind", "rate_limited")


PLANTS: dict[str, tuple[Plant, set[str]]] = {
    "a key of Redis": (set_in_redis, {at.REDIS, at.REDIS_TRAFFIC}),
    "a key that was deleted again": (set_in_redis_and_deleted, {at.REDIS_TRAFFIC}),
    "a task's argument": (handed_to_a_task, {at.REDIS_TRAFFIC, at.EVENTS, at.FLOWER, at.LOGS}),
    "an event": (told_in_an_event, {at.REDIS_TRAFFIC, at.EVENTS}),
    "a log line": (logged, {at.LOGS}),
    "a row": (stored_in_a_row, {at.DATABASE, at.SQL}),
    "a query": (asked_of_the_database, {at.SQL}),
    "a label": (counted_under_a_label, {at.REDIS, at.REDIS_TRAFFIC, at.METRICS}),
    "an error": (echoed_in_an_error, {at.ERRORS}),
    "an event of the audit log": (
        told_in_the_audit_log,
        {at.REDIS_TRAFFIC, at.DATABASE, at.SQL, at.TERMINAL},
    ),
    "a terminal": (printed, {at.TERMINAL}),
}
"""What leaks, and the places at which it must then be found: there and nowhere else."""


def plant(flows: Flows, flower: at.Flower) -> dict[str, Canary]:
    """All of them, each with a secret of its own."""
    planted = {name: f"planted-{secrets.token_hex(8)}" for name in PLANTS}
    for name, (leak, _) in PLANTS.items():
        leak(flows, planted[name])
    flower.wait_until_told(planted["a task's argument"])
    return {name: Canary.of("planted", secret) for name, secret in planted.items()}


def _redis(flows: Flows) -> Redis:
    return connect(flows.stack.settings["FITTRACK_REDIS_URL"], timeout=30)
