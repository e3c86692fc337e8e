"""GET /healthz, /readyz and /metrics."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from dev.processes import free_port
from dev.servers import RedisServer
from shared.broker.connection_counts import ConnectionCounts
from shared.errors import JobErrorCode, RefusalScope
from shared.jobs.states import Failure
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.measurements import (
    CODES_SENT,
    GARMIN_REQUESTS,
    GARMIN_SECONDS,
    JOB_SECONDS,
    REFRESHES,
    Measurements,
)
from shared.redis.unknown_answers import UnknownAnswers
from tests.api.problems import assert_problem
from tests.api.service import LOGIN, Service, bearer, in_process, settings
from tests.api.wire import wire
from tests.cooldowns import refuse
from tests.end_to_end.recorders import wait_until


def figures(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels. Raises ValueError if Prometheus could not read the text."""
    metrics: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            metrics.setdefault(sample.name, {})[labels] = sample.value
    return metrics


def measured(service: Service) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    reply = service.client.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return figures(reply.text)


def requests(service: Service, method: str, route: str, status: int) -> float:
    labels = (("method", method), ("route", route), ("status", str(status)))
    return measured(service)["fittrack_http_requests_total"].get(labels, 0)


def test_a_process_that_answers_is_alive(service: Service) -> None:
    reply = service.client.get("/healthz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


def test_with_redis_and_the_database_the_service_is_ready(service: Service) -> None:
    reply = service.client.get("/readyz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


def test_without_redis_and_database_the_service_names_both(tmp_path: Path) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    missing = tmp_path / "missing"
    with in_process(settings(nowhere, missing)) as client:
        problem = assert_problem(client.get("/readyz"), 503, "service_unavailable")
        assert problem["unavailable"] == ["redis", "database"]
        missing.mkdir()
        problem = assert_problem(client.get("/readyz"), 503, "service_unavailable")
        assert problem["unavailable"] == ["redis"]


def test_without_the_database_sign_ins_are_still_accepted(
    tmp_path: Path, real_redis_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with in_process(settings(real_redis_url, tmp_path / "missing")) as client:
        problem = assert_problem(client.get("/readyz"), 503, "service_unavailable")
        assert problem["unavailable"] == ["database"]
        for method, path in (
            ("GET", "/api/session"),
            ("DELETE", "/api/session"),
            ("DELETE", "/api/sessions"),
        ):
            reply = client.request(method, path, headers=bearer("x" * 43))
            problem = assert_problem(reply, 503, "service_unavailable")
            assert problem["unavailable"] == ["database"]
            assert int(reply.headers["retry-after"]) > 0
            assert "answered 503: database" in capfd.readouterr().err
        body = {"username": "abc", "password": "x"}
        assert client.post(LOGIN, json=body).status_code == 202


def test_requests_are_counted_by_route_and_never_by_path(service: Service) -> None:
    before = requests(service, "GET", "/api/jobs/{job_id}", 200)
    job = service.submit()
    service.poll(job)
    service.poll(job)
    assert requests(service, "GET", "/api/jobs/{job_id}", 200) == before + 2
    assert job.job_id not in service.client.get("/metrics").text


def test_unknown_paths_share_one_metric(service: Service) -> None:
    before = requests(service, "none", "none", 404)
    for number in range(3):
        service.client.get(f"/canary-{number}")
    assert requests(service, "none", "none", 404) == before + 3
    assert "canary" not in service.client.get("/metrics").text


def test_invented_methods_share_one_metric(service: Service) -> None:
    before = requests(service, "other", "/healthz", 405)
    for number in range(3):
        with wire(service.stack.port) as connection:
            connection.head(f"CANARY{number}", "/healthz")
            assert connection.reply().status_code == 405
    assert requests(service, "other", "/healthz", 405) == before + 3
    assert "CANARY" not in service.client.get("/metrics").text


def test_metrics_count_ended_and_waiting_jobs(service: Service) -> None:
    for code in (JobErrorCode.TIMED_OUT, JobErrorCode.TIMED_OUT, JobErrorCode.ACCOUNT_LOCKED):
        service.jobs.end(service.claim(service.submit()), Failure(code=code))
    for _ in range(2):
        service.submit()
    metrics = measured(service)
    assert metrics["fittrack_redis_up"] == {(): 1}
    assert metrics["fittrack_jobs_ended_total"] == {
        (("kind", "login"), ("result", "timed_out")): 2,
        (("kind", "login"), ("result", "account_locked")): 1,
    }
    assert metrics["fittrack_queue_length"] == {
        (("queue", "login"),): 2,
        (("queue", "mfa"),): 0,
        (("queue", "refresh"),): 0,
    }


def test_metrics_count_the_answers_that_nobody_knows(service: Service) -> None:
    for driver, step in (("garth", "login"), ("garth", "login"), ("garminconnect", "di")):
        UnknownAnswers(service.redis).count(driver, step)
    assert measured(service)["fittrack_garmin_answers_unknown_total"] == {
        (("driver", "garth"), ("step", "login")): 2,
        (("driver", "garminconnect"), ("step", "di")): 1,
    }


def test_metrics_have_what_workers_counted_and_timed(service: Service) -> None:
    worker = Measurements()
    worker.count(CODES_SENT)
    worker.count(REFRESHES, "garth", "ok")
    worker.count(GARMIN_REQUESTS, "garth", "login", "refused")
    worker.observe(GARMIN_SECONDS, 0.3, "garth", "login")
    worker.observe(JOB_SECONDS, 7.0, "login")
    worker.flush_to(service.redis)
    metrics = measured(service)
    assert metrics["fittrack_codes_sent_total"] == {(): 1}
    assert metrics["fittrack_refreshes_total"] == {(("driver", "garth"), ("result", "ok")): 1}
    garth_login = (("driver", "garth"), ("result", "refused"), ("step", "login"))
    assert metrics["fittrack_garmin_requests_total"] == {garth_login: 1}
    seconds = metrics["fittrack_garmin_request_duration_seconds_bucket"]
    assert seconds[(("driver", "garth"), ("le", "0.25"), ("step", "login"))] == 0
    assert seconds[(("driver", "garth"), ("le", "0.5"), ("step", "login"))] == 1
    assert metrics["fittrack_job_duration_seconds_sum"] == {(("kind", "login"),): 7.0}
    assert metrics["fittrack_job_duration_seconds_count"] == {(("kind", "login"),): 1}


def test_metrics_show_connections_by_state_as_a_worker_counted_them(service: Service) -> None:
    assert "fittrack_connections" not in measured(service)
    service.sign_in()
    ConnectionCounts(service.redis).renew(service.database)
    metrics = measured(service)
    connections = metrics["fittrack_connections"]
    assert connections[(("method", "password"), ("state", "active"))] >= 1
    assert connections[(("method", "import"), ("state", "expiring"))] == 0
    assert len(connections) == 9
    assert metrics["fittrack_refresh_oldest_due_seconds"] == {(): 0}


def test_metrics_show_a_driver_cooling_down(service: Service) -> None:
    cooldowns = DriverCooldowns(service.redis)
    refuse(cooldowns, "garth", retry_after=100)
    refuse(cooldowns, "garminconnect", account="bob", scope=RefusalScope.ACCOUNT)
    metrics = measured(service)
    rests = metrics["fittrack_driver_rest_seconds"]
    assert 0 < rests[(("driver", "garth"),)] <= 100
    assert rests[(("driver", "garminconnect"),)] == 0
    waiting = metrics["fittrack_driver_accounts_waiting"]
    assert waiting == {(("driver", "garth"),): 1, (("driver", "garminconnect"),): 1}
    refusals = metrics["fittrack_garmin_refusals_total"]
    assert refusals[(("driver", "garth"), ("scope", "client"))] == 1
    assert refusals[(("driver", "garminconnect"), ("scope", "account"))] == 1
    assert refusals[(("driver", "garth"), ("scope", "account"))] == 0


def test_what_can_lose_sign_ins_is_named_by_a_service_that_is_ready(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        with in_process(settings(own_redis.url, tmp_path)) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            reply = client.get("/readyz")
            degraded = {"status": "degraded", "degraded": ["redis_eviction"]}
            assert (reply.status_code, reply.json()) == (200, degraded)
            redis.config_set("appendonly", "no")
            redis.set("fittrack:database-disk", 1)
            reply = client.get("/readyz").json()
            assert reply["degraded"] == ["redis_eviction", "redis_persistence", "database_disk"]
            redis.delete("fittrack:database-disk")
            redis.config_set("appendonly", "yes")
            redis.config_set("maxmemory-policy", "noeviction")
            assert client.get("/readyz").json() == {"status": "ok"}


def test_a_queue_in_a_redis_of_its_own_is_looked_at_as_well(
    tmp_path: Path, own_redis: RedisServer, real_redis_url: str
) -> None:
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        chosen = settings(real_redis_url, tmp_path) | {"FITTRACK_BROKER_URL": own_redis.url}
        with in_process(chosen) as client:
            assert client.get("/readyz").json()["degraded"] == ["broker_eviction"]


def test_a_redis_that_refuses_to_write_to_its_disk_is_away(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    with (
        Redis.from_url(own_redis.url) as redis,
        in_process(settings(own_redis.url, tmp_path)) as client,
    ):
        redis.config_set("save", "3600 1")
        shutil.rmtree(own_redis.folder)
        redis.bgsave()
        wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")
        problem = assert_problem(client.get("/readyz"), 503, "service_unavailable")
        assert problem["unavailable"] == ["redis"]
        redis.config_set("stop-writes-on-bgsave-error", "no")
        assert client.get("/readyz").json()["degraded"] == ["redis_disk"]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as server:
        assert isinstance(server, RedisServer)
        yield server
