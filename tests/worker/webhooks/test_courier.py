"""Deliveries to receivers that are well, slow, dead, gone, or send what nobody asked for."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from sqlalchemy import func, select

from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import WebhookEndpoint
from shared.errors import ServiceUnavailableError
from shared.garmin.types import GarminIdentity
from shared.webhooks.deliveries import PAUSES
from shared.webhooks.endpoints import EndpointRepository
from tests.shared.samples import BOB
from tests.webhook_outbox import App, Worker, move_clock
from tests.webhook_receiver import Receiver, Reply, answer, receiving

DAY = timedelta(days=1)
MEMBERS = ("first", "second", "third", "fourth")


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def app(database: Database, keyring: Keyring) -> App:
    return App(database, keyring)


@pytest.fixture
def worker(database: Database, keyring: Keyring) -> Iterator[Worker]:
    worker = Worker(database, keyring)
    yield worker
    worker.courier.stop()


@pytest.fixture
def receiver(app: App) -> Iterator[Receiver]:
    with receiving() as receiver:
        _, receiver.secret = app.add_endpoint(receiver.url)
        yield receiver


def test_an_event_is_signed_and_tells_what_the_contract_names(
    app: App, worker: Worker, receiver: Receiver
) -> None:
    app.connect("member-4711")
    assert worker.work() == 1
    (one,) = receiver.received
    assert one.path == "/hooks?from=fittrack"
    assert one.headers["content-type"] == "application/json"
    assert one.headers["host"] == f"127.0.0.1:{receiver.port}"
    timestamp = one.event.pop("timestamp")
    assert abs(datetime.fromisoformat(timestamp) - datetime.now(UTC)) < timedelta(minutes=1)
    assert one.event == {
        "type": "garmin.connected",
        "timestamp": timestamp,
        "data": {
            "user_id": "member-4711",
            "state": "active",
            "reason": None,
            "method": "password",
            "access": "read_write",
            "domain": "garmin.com",
        },
    }
    (row,) = app.deliveries()
    assert (row.status, row.attempts, row.answer) == ("delivered", 1, "204")
    assert worker.figures.results == {"delivered": 1}
    assert worker.work() == 0


def test_both_secrets_sign_while_one_replaces_the_other(
    app: App, worker: Worker, receiver: Receiver, database: Database, keyring: Keyring
) -> None:
    old = receiver.secret
    endpoint_id = database.run(lambda s: s.scalars(select(WebhookEndpoint.id)).one())

    def rotate(overlap: timedelta) -> str:
        return database.run(lambda s: EndpointRepository(s, keyring).rotate(endpoint_id, overlap))

    new = rotate(DAY)
    for receiver.secret in (old, new):
        app.connect()
        worker.work()
    assert len(receiver.applied) == 2
    receiver.secret = rotate(timedelta())
    app.connect()
    worker.work()
    assert len(receiver.received[-1].headers["webhook-signature"].split(" ")) == 1
    assert len(receiver.applied) == 3


def test_a_receiver_that_was_down_for_a_day_hears_of_everything_in_order(
    app: App, worker: Worker, database: Database
) -> None:
    with receiving() as closed:
        port = closed.port
    _, secret = app.add_endpoint(closed.url)
    app.connect("first")
    app.reject("first")
    app.connect("second", BOB)
    begun, tries = datetime.now(UTC), 0
    while datetime.now(UTC) - begun < timedelta(minutes=1) and tries < 8:
        tries += worker.work()
        move_clock(database, timedelta(hours=3, minutes=10))
    first, second, other = app.deliveries()
    assert first.answer == other.answer == "not_connected"
    assert (second.attempts, second.answer) == (0, None)
    with receiving(Receiver(port, secret)) as receiver:
        move_clock(database, DAY)
        while worker.work():
            pass
    assert sorted(receiver.types()) == ["garmin.connected"] * 2 + ["garmin.sign_in_required"]
    of_first = [e for e in receiver.applied.values() if e["data"]["user_id"] == "first"]
    assert [event["data"]["state"] for event in of_first] == ["active", "sign_in_required"]
    assert of_first[1]["data"]["reason"] == "rejected"


def test_a_try_follows_the_last_one_by_the_schedule_until_it_is_given_up(
    app: App, worker: Worker, receiver: Receiver, database: Database
) -> None:
    receiver.reply = answer(500)
    app.connect()
    for pause in PAUSES:
        assert worker.work() == 1
        row = app.deliveries()[-1]
        assert row.status == "pending"
        left = row.next_try_at - datetime.now(UTC)
        assert pause - timedelta(seconds=5) < left <= pause * 1.1
        assert worker.work() == 0
        move_clock(database, left)
    assert worker.work() == 1
    (row,) = app.deliveries()
    assert (row.status, row.attempts, row.answer) == ("given_up", 10, "500")
    assert len({one.id for one in receiver.received}) == 1
    assert len(receiver.received) == 10
    assert worker.figures.results == {"failed": 9, "given_up": 1}
    move_clock(database, DAY)
    assert worker.work() == 0


def test_a_receiver_that_is_gone_is_not_delivered_to_any_more(
    app: App, worker: Worker, receiver: Receiver
) -> None:
    receiver.reply = answer(410)
    app.connect()
    app.disconnect()
    worker.work()
    assert [row.status for row in app.deliveries()] == ["given_up", "given_up"]
    app.connect()
    assert len(app.deliveries()) == 2
    assert worker.work() == 0
    assert len(receiver.received) == 1


@pytest.mark.parametrize(("asked", "waits"), [("600", 600), ("9999999", 86_400)])
def test_a_receiver_is_left_alone_for_as_long_as_it_asks_for_but_a_day(
    app: App, worker: Worker, receiver: Receiver, database: Database, asked: str, waits: int
) -> None:
    receiver.reply = answer(429, Retry_After=asked)
    app.connect("first")
    worker.work()
    receiver.reply = None
    app.connect("second", BOB)
    move_clock(database, timedelta(seconds=waits - 30))
    assert worker.work() == 0
    move_clock(database, timedelta(seconds=waits))
    worker.work()
    assert receiver.types() == ["garmin.connected"] * 2


def test_no_redirect_is_followed(app: App, worker: Worker, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.reply = answer(302, Location=elsewhere.url)
        app.connect()
        worker.work()
    assert elsewhere.received == []
    assert app.deliveries()[0].answer == "302"


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Begin an answer's head, and send a byte of it now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def flood(handler: BaseHTTPRequestHandler) -> None:
    """Send 10 MB."""
    answer_head = b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n"
    handler.wfile.write(answer_head)
    for sent.mebibytes in range(10):
        handler.wfile.write(b"x" * 1024 * 1024)


class _Sent:
    mebibytes = 0


sent = _Sent()


def long_head(handler: BaseHTTPRequestHandler) -> None:
    """Send a head that does not end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000_000)


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"hello\r\n\r\n")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [(drip, "timeout"), (flood, "200"), (long_head, "no_answer"), (no_http, "no_answer")],
)
def test_an_answer_is_waited_for_and_read_within_bounds(
    app: App, worker: Worker, receiver: Receiver, reply: Reply, expected: str
) -> None:
    receiver.reply = reply
    app.connect()
    begun = time.monotonic()
    worker.work()
    assert time.monotonic() - begun < worker.timings.webhook_answer + 1
    assert app.deliveries()[0].answer == expected
    if reply is flood:
        assert sent.mebibytes < 9  # nobody has read it


def test_a_slow_receiver_delays_no_other_app(
    app: App, worker: Worker, receiver: Receiver, database: Database, keyring: Keyring
) -> None:
    release = threading.Event()

    def hold(_: BaseHTTPRequestHandler) -> None:
        release.wait(10)

    receiver.reply = hold
    for number in range(6):
        app.connect(f"member-{number}")
    slow = worker.courier.serve(*worker.claim())
    other = App(database, keyring, "other")
    with receiving() as prompt:
        other.add_endpoint(prompt.url)
        other.connect()
        assert worker.work() == 1
        assert prompt.types() == ["garmin.connected"]
    assert len(receiver.received) <= 4
    assert not slow.done()
    release.set()
    slow.result(30)
    assert len(app.deliveries()) == 6


def test_what_a_dead_worker_has_delivered_is_delivered_again_under_its_id(
    app: App, worker: Worker, receiver: Receiver, database: Database, keyring: Keyring
) -> None:
    app.connect()

    def die(*_: object) -> None:
        raise RuntimeError

    dying = Worker(database, keyring)
    dying.courier._note = die  # type: ignore[method-assign, assignment]
    dying.work()
    dying.courier.stop()
    assert worker.work() == 0
    move_clock(database, timedelta(seconds=worker.timings.webhook_claim))
    assert worker.work() == 1
    first, second = receiver.received
    assert first.id == second.id
    assert len(receiver.applied) == 1
    assert app.deliveries()[0].attempts == 2


def test_an_answer_is_noted_once_the_database_is_back(
    app: App, worker: Worker, receiver: Receiver, database: Database
) -> None:
    app.connect()
    (endpoint_id,) = worker.claim()
    away = threading.Event()
    run = database.run

    def fail(work: object) -> object:
        if away.is_set():
            raise ServiceUnavailableError("database")
        return run(work)  # type: ignore[arg-type]

    database.run = fail  # type: ignore[method-assign, assignment]

    def reply(handler: BaseHTTPRequestHandler) -> None:
        away.set()
        threading.Timer(0.3, away.clear).start()
        answer(204)(handler)

    receiver.reply = reply
    worker.courier.serve(endpoint_id).result(30)
    assert app.deliveries()[0].status == "delivered"
    assert len(receiver.received) == 1


def test_a_thousand_changes_while_the_receiver_is_down_arrive_once_and_in_order(
    app: App, worker: Worker, database: Database, keyring: Keyring
) -> None:
    with receiving() as closed:
        port = closed.port
    _, secret = app.add_endpoint(closed.url)
    for member in MEMBERS:
        app.connect(member, GarminIdentity(guid=member, display_name=member))
        app.come_and_go(member, 249)
    worker.work()
    move_clock(database, DAY)
    patient = Worker(database, keyring, replace(worker.timings, webhook_answer=15.0))
    with receiving(Receiver(port, secret)) as receiver:
        while patient.work():
            pass
    patient.courier.stop()
    expected = [f"msg_{row.id.hex}" for row in app.deliveries()]
    assert len(expected) == len(receiver.applied) == 1000
    arrived = {number: place for place, number in enumerate(receiver.applied)}
    for member in MEMBERS:
        mine = [r for r in app.deliveries() if r.client_user_id == member]
        places = [arrived[f"msg_{row.id.hex}"] for row in mine]
        assert places == sorted(places)


def test_nothing_is_delivered_where_the_address_is_refused(
    app: App, worker: Worker, database: Database
) -> None:
    app.add_endpoint("http://2852039166/latest/meta-data")
    app.add_endpoint("http://[::ffff:a9fe:a9fe]/")
    app.connect()
    worker.work()
    assert [row.answer for row in app.deliveries()] == ["address_refused"] * 2
    assert database.run(lambda s: s.scalar(select(func.count()).select_from(WebhookEndpoint))) == 2
