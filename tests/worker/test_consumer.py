"""garth's OAuth consumer: a file that is gone, slow or wrong stops nobody for long."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from dev.short import SHORT
from dev.simulator import Simulator
from dev.simulator.oauth1 import CONSUMER_KEY, CONSUMER_SECRET
from shared.errors import DriverFailedError, ServiceUnavailableError
from shared.garmin.types import OAuthConsumer
from tests.worker.ways import ALWAYS
from worker.drivers.consumer import ConsumerSource
from worker.drivers.http import GarminAdapter

HOST = "thegarth.s3.amazonaws.com"
CONSUMER = OAuthConsumer(consumer_key=CONSUMER_KEY, consumer_secret=CONSUMER_SECRET)
STALE = OAuthConsumer(consumer_key="stale", consumer_secret="stale")


@dataclass
class MemoryStore:
    kept: bytes | None = None
    is_away: bool = False
    hangs: threading.Event | None = None

    def load(self) -> bytes | None:
        self._answer()
        return self.kept

    def save(self, consumer: bytes) -> None:
        self._answer()
        self.kept = consumer

    def _answer(self) -> None:
        if self.hangs:
            self.hangs.wait(30)
        if self.is_away:
            raise ServiceUnavailableError("redis")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def source(reached_garmin: Simulator, adapter: GarminAdapter, store: MemoryStore) -> ConsumerSource:
    return ConsumerSource(adapter, store)


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_the_consumer_is_fetched_once_and_kept_for_the_next_process(
    source: ConsumerSource, store: MemoryStore, garmin: Simulator, adapter: GarminAdapter
) -> None:
    assert source.get(ALWAYS) == source.get(ALWAYS) == CONSUMER
    assert store.kept == CONSUMER.reveal()
    assert garmin.count("requests") == 1
    garmin.configure(faults=[{"kind": "cut", "host": HOST}])
    assert ConsumerSource(adapter, store).get(ALWAYS) == CONSUMER


@pytest.mark.parametrize("status", [403, 404, 500, 302])
def test_a_file_that_is_gone_fails_the_driver(
    source: ConsumerSource, garmin: Simulator, status: int
) -> None:
    garmin.configure(faults=[{"kind": "status", "status": status, "host": HOST}])
    with pytest.raises(DriverFailedError):
        source.get(ALWAYS)


@pytest.mark.parametrize("kind", ["cut", "cut_body", "garbage", "html"])
def test_a_file_without_a_consumer_fails_the_driver(
    source: ConsumerSource, garmin: Simulator, kind: str
) -> None:
    garmin.configure(faults=[{"kind": kind, "host": HOST}])
    with pytest.raises(DriverFailedError):
        source.get(ALWAYS)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        {"consumer_key": "key"},
        {"consumer_key": "", "consumer_secret": "secret"},
        {"consumer_key": 1, "consumer_secret": "secret"},
        {"consumer_key": ["key"], "consumer_secret": "secret"},
        {"consumer_key": "key\r\nX: y", "consumer_secret": "secret"},
        {"consumer_key": "k" * 129, "consumer_secret": "secret"},
        {"consumer_key": "key", "consumer_secret": "ä"},
    ],
)
def test_nonsense_is_neither_used_nor_kept(
    source: ConsumerSource, garmin: Simulator, store: MemoryStore, body: object
) -> None:
    garmin.configure(faults=[{"kind": "json", "status": 200, "body": body, "host": HOST}])
    with pytest.raises(DriverFailedError):
        source.get(ALWAYS)
    assert store.kept is None


@pytest.mark.parametrize("kept", [b"", b"nonsense", b'{"consumer_key": 1}', b"[]"])
def test_what_is_kept_is_validated(source: ConsumerSource, store: MemoryStore, kept: bytes) -> None:
    store.kept = kept
    assert source.get(ALWAYS) == CONSUMER
    assert store.kept == CONSUMER.reveal()


def test_a_file_that_failed_is_fetched_again_later(
    source: ConsumerSource, garmin: Simulator, adapter: GarminAdapter
) -> None:
    garmin.configure(faults=[{"kind": "garbage", "host": HOST, "times": 1}])
    for _ in range(3):
        with pytest.raises(DriverFailedError):
            source.get(ALWAYS)
    assert garmin.count("requests") == 1
    adapter.timings = replace(SHORT, consumer_retry=0.0)
    assert source.get(ALWAYS) == CONSUMER


@pytest.mark.parametrize("kind", ["hang", "hang_connect", "drip"])
def test_a_file_that_hangs_delays_forty_sign_ins_by_seconds_in_all(
    source: ConsumerSource, garmin: Simulator, adapter: GarminAdapter, kind: str
) -> None:
    adapter.timings = replace(SHORT, consumer_answer=0.5, consumer_retry=30.0)
    garmin.configure(faults=[{"kind": kind, "host": HOST}], drip_interval_ms=50)

    def fails(_: int) -> bool:
        with pytest.raises(DriverFailedError):
            source.get(ALWAYS)
        return True

    began = time.monotonic()
    with ThreadPoolExecutor(40) as pool:
        assert all(pool.map(fails, range(80)))
    assert time.monotonic() - began < 2


def test_a_redis_that_hangs_delays_nobody_for_long(
    source: ConsumerSource, store: MemoryStore, adapter: GarminAdapter, hanging: threading.Event
) -> None:
    store.hangs = hanging
    adapter.timings = replace(SHORT, consumer_answer=0.3)
    began = time.monotonic()
    with pytest.raises(DriverFailedError):
        source.get(ALWAYS)
    assert time.monotonic() - began < 2


def test_without_redis_the_file_is_enough(source: ConsumerSource, store: MemoryStore) -> None:
    store.is_away = True
    assert source.get(ALWAYS) == CONSUMER


def test_a_refused_consumer_is_replaced_everywhere(
    source: ConsumerSource, store: MemoryStore, garmin: Simulator
) -> None:
    store.kept = STALE.reveal()
    assert source.get(ALWAYS) == STALE
    assert source.replace(STALE, ALWAYS) == CONSUMER
    assert source.get(ALWAYS) == CONSUMER
    assert store.kept == CONSUMER.reveal()
    assert source.replace(STALE, ALWAYS) == CONSUMER
    assert garmin.count("requests") == 1


def test_the_current_consumer_has_no_replacement_and_is_asked_for_seldom(
    source: ConsumerSource, garmin: Simulator, adapter: GarminAdapter
) -> None:
    adapter.timings = replace(SHORT, consumer_retry=30.0)
    source.get(ALWAYS)
    for _ in range(20):
        assert source.replace(CONSUMER, ALWAYS) is None
    assert garmin.count("requests") == 2


def test_a_file_that_is_gone_replaces_nothing(
    source: ConsumerSource, store: MemoryStore, garmin: Simulator
) -> None:
    store.kept = STALE.reveal()
    source.get(ALWAYS)
    garmin.configure(faults=[{"kind": "status", "status": 403, "host": HOST}])
    assert source.replace(STALE, ALWAYS) is None
    assert source.get(ALWAYS) == STALE
