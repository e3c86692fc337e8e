"""With Redis or the broker away: a 503 within three seconds, and nothing half-submitted.

Three seconds is the contract, so these tests look at the clock.
"""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dev.servers import RedisServer
from shared.errors import JobNotFoundError
from shared.jobs.states import JobStage
from tests.api.problems import assert_problem
from tests.api.service import (
    CODE,
    CREDENTIALS,
    LOGIN,
    PATIENCE,
    Job,
    Service,
    eventually,
    running,
    settings,
)

DEADLINE = 3.0


@dataclass
class Server:
    """A Redis that can be taken away and comes back as it was."""

    redis: RedisServer

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Connections are refused."""
        self.redis.stop()
        try:
            yield
        finally:
            self.redis = RedisServer(self.redis.folder, self.redis.port)
            self.redis.wait_ready()

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Connections are taken and nothing is answered."""
        self.redis.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.redis.signal(signal.SIGCONT)


@dataclass
class Setup:
    service: Service
    redis: Server
    broker: Server


Outage = Callable[[Server], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def running_setup(server_folder: Path) -> Iterator[Setup]:
    folder = Path(tempfile.mkdtemp(dir=server_folder))
    for name in ("redis", "broker"):
        (folder / name).mkdir()
    redis = Server(RedisServer(folder / "redis"))
    broker = Server(RedisServer(folder / "broker"))
    try:
        url = redis.redis.wait_ready().url
        values = settings(url, folder, FITTRACK_BROKER_URL=broker.redis.wait_ready().url)
        with running(folder, values) as service:
            yield Setup(service, redis, broker)
    finally:
        redis.redis.stop()
        broker.redis.stop()


@pytest.fixture
def setup(running_setup: Setup) -> Setup:
    running_setup.service.redis.flushall()
    return running_setup


@pytest.fixture(params=["stopped", "hung"])
def outage(request: pytest.FixtureRequest) -> Outage:
    return {"stopped": Server.stopped, "hung": Server.hung}[request.param]


@contextmanager
def in_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < DEADLINE


def assert_unavailable(reply: httpx.Response, what: str) -> None:
    problem = assert_problem(reply, 503, "service_unavailable")
    assert problem["unavailable"] == [what]
    assert int(reply.headers["retry-after"]) > 0


def test_without_redis_a_sign_in_is_refused_in_time(setup: Setup, outage: Outage) -> None:
    with outage(setup.redis), in_time():
        reply = setup.service.client.post(LOGIN, json=CREDENTIALS)
    assert_unavailable(reply, "redis")


def test_without_redis_a_code_is_refused_in_time(setup: Setup, outage: Outage) -> None:
    challenge_id = setup.service.ask_for_code().challenge_id.get_secret_value()
    with outage(setup.redis), in_time():
        reply = setup.service.send_code(challenge_id)
    assert_unavailable(reply, "redis")


@pytest.mark.parametrize("wait", [0, 30])
def test_without_redis_a_poll_is_refused_in_time(setup: Setup, outage: Outage, wait: int) -> None:
    job = setup.service.submit()
    with outage(setup.redis), in_time():
        reply = setup.service.poll(job, wait)
    assert_unavailable(reply, "redis")
    assert setup.service.poll(job).json()["status"] == "queued"


def test_without_redis_it_is_not_ready(setup: Setup, outage: Outage) -> None:
    with outage(setup.redis), in_time():
        reply = setup.service.client.get("/readyz")
    assert_unavailable(reply, "redis")
    assert setup.service.client.get("/readyz").status_code == 200


def test_without_redis_it_is_alive_and_has_metrics(setup: Setup, outage: Outage) -> None:
    with outage(setup.redis):
        assert setup.service.client.get("/healthz").status_code == 200
        with in_time():
            reply = setup.service.client.get("/metrics")
    assert reply.status_code == 200
    assert "fittrack_redis_up 0.0" in reply.text
    assert "fittrack_http_requests_total{" in reply.text


def test_without_redis_sessions_are_served(setup: Setup, outage: Outage) -> None:
    account = setup.service.sign_in()
    with outage(setup.redis):
        reply = setup.service.client.get("/api/session", headers=account.headers)
    assert reply.status_code == 200


def test_without_redis_an_invalid_request_is_still_a_422(setup: Setup) -> None:
    with setup.redis.stopped():
        reply = setup.service.client.post(LOGIN, json={})
    assert_problem(reply, 422, "invalid_request")


def test_a_waiting_poll_ends_in_time_when_redis_stops(setup: Setup) -> None:
    job = setup.service.submit()
    with setup.redis.hung(), in_time():
        reply = setup.service.poll(job, wait=1)
    assert_unavailable(reply, "redis")


def test_the_api_recovers_when_redis_is_back(setup: Setup, outage: Outage) -> None:
    job = setup.service.submit()
    with outage(setup.redis):
        assert setup.service.client.post(LOGIN, json=CREDENTIALS).status_code == 503
    assert setup.service.poll(job).json()["status"] == "queued"
    assert setup.service.submit().job_id != job.job_id


def test_without_the_broker_a_sign_in_is_refused_and_leaves_nothing(
    setup: Setup, outage: Outage
) -> None:
    with outage(setup.broker), in_time():
        reply = setup.service.client.post(LOGIN, json=CREDENTIALS)
    assert_unavailable(reply, "broker")
    assert setup.service.kept() == set()


def test_without_the_broker_a_code_is_refused_and_may_be_sent_again(
    setup: Setup, outage: Outage
) -> None:
    challenge_id = setup.service.ask_for_code().challenge_id.get_secret_value()
    [challenge] = setup.service.kept()
    with outage(setup.broker), in_time():
        reply = setup.service.send_code(challenge_id)
    assert_unavailable(reply, "broker")
    assert setup.service.kept() == {challenge}
    assert setup.service.send_code(challenge_id).status_code == 202


def test_a_job_that_a_worker_holds_counts_as_sent(setup: Setup) -> None:
    # Whether the worker comes before the API gives up is chance: so until it does.
    reply = next(filter(None, (taken_while_the_broker_is_silent(setup) for _ in range(20))))
    assert reply.status_code == 202, reply.text
    job = Job(reply.json()["job_id"], reply.json()["poll_token"])
    assert setup.service.poll(job).json()["status"] == "running"


def taken_while_the_broker_is_silent(setup: Setup) -> httpx.Response | None:
    """The answer to a sign-in whose job a worker took meanwhile; None if it came too late."""
    setup.service.redis.flushall()
    with setup.broker.hung(), ThreadPoolExecutor(1) as pool:
        submission = pool.submit(setup.service.client.post, LOGIN, json=CREDENTIALS)
        eventually(lambda: bool(setup.service.kept()) or submission.done())
        jobs = {key.split(":")[2] for key in setup.service.kept() if ":job:" in key}
        [job_id] = jobs or {"gone"}
        try:
            setup.service.jobs.claim(job_id, owner="a worker")
        except JobNotFoundError:
            return None
        return submission.result()


def test_without_the_broker_jobs_can_be_polled(setup: Setup, outage: Outage) -> None:
    job = setup.service.submit()
    with outage(setup.broker):
        assert setup.service.poll(job).json()["status"] == "queued"
        assert setup.service.client.get("/readyz").status_code == 200


def test_without_the_broker_redis_still_has_metrics(setup: Setup, outage: Outage) -> None:
    with outage(setup.broker), in_time():
        reply = setup.service.client.get("/metrics")
    assert "fittrack_redis_up 1.0" in reply.text
    assert "fittrack_driver_rest_seconds" in reply.text
    assert "fittrack_queue_length" in reply.text


def test_sign_ins_are_accepted_once_the_broker_is_back(setup: Setup, outage: Outage) -> None:
    with outage(setup.broker):
        assert setup.service.client.post(LOGIN, json=CREDENTIALS).status_code == 503
    assert isinstance(setup.service.submit(), Job)


def test_many_concurrent_requests_are_refused_with_redis_and_broker_stopped(setup: Setup) -> None:
    body = {"challenge_id": "x" * 43, "mfa_code": "123456"}
    with setup.redis.stopped(), setup.broker.stopped():
        for _ in range(50):
            assert setup.service.client.post(LOGIN, json=CREDENTIALS).status_code == 503
            assert setup.service.client.post(CODE, json=body).status_code == 503
    assert setup.service.kept() == set()


def test_a_poll_survives_a_restart_of_redis(setup: Setup) -> None:
    job = setup.service.submit()
    claim = setup.service.claim(job)
    with setup.service.polling(job) as poll:
        with setup.redis.stopped():
            pass
        setup.service.until_listening()
        setup.service.jobs.advance(claim, JobStage.STORING)
        assert poll.result(PATIENCE).json()["stage"] == "storing"


def test_a_poll_notices_changes_made_while_the_api_was_not_subscribed(setup: Setup) -> None:
    job = setup.service.submit()
    claim = setup.service.claim(job)
    with setup.service.polling(job) as poll:
        setup.service.api.signal(signal.SIGSTOP)
        try:
            with setup.redis.stopped():
                pass
            setup.service.jobs.advance(claim, JobStage.STORING)
        finally:
            setup.service.api.signal(signal.SIGCONT)
        assert poll.result(PATIENCE).json()["stage"] == "storing"
