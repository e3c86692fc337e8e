"""A database that hangs keeps its own threads, and nothing else waits for it."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import httpx

from shared.timings import PRODUCTION
from tests.api.problems import assert_problem
from tests.api.service import CREDENTIALS, LOGIN, PATIENCE, bearer, in_process, settings

SESSION = "/api/session"
THREADS = 16
CROWD = 80


PATIENT = replace(PRODUCTION, database_connect=20)


@contextmanager
def hanging(redis_url: str, folder: Path) -> Iterator[tuple[httpx.Client, socket.socket]]:
    """An API whose database, the socket, accepts connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=CROWD) as database:
        url = f"postgresql+psycopg://x@127.0.0.1:{database.getsockname()[1]}/x"
        values = settings(redis_url, folder) | {"FITTRACK_DATABASE_URL": url}
        with in_process(values, timings=PATIENT) as client:
            yield client, database


def test_a_sign_in_does_not_wait_for_a_database_that_hangs(
    tmp_path: Path, real_redis_url: str
) -> None:
    with (
        hanging(real_redis_url, tmp_path) as (client, database),
        httpx.Client(base_url=client.base_url, trust_env=False, timeout=60) as crowd,
        ThreadPoolExecutor(CROWD) as pool,
    ):
        requests = [pool.submit(crowd.get, SESSION, headers=bearer("x" * 43)) for _ in range(CROWD)]
        answered = as_completed(requests, PATIENCE)
        for request in islice(answered, CROWD - THREADS):
            assert_problem(request.result(), 503, "service_unavailable")

        accepted = client.post(LOGIN, json=CREDENTIALS).json()
        job = f"/api/jobs/{accepted['job_id']}"
        poll = client.get(job, headers=bearer(accepted["poll_token"]))

        assert poll.json()["status"] == "queued"
        assert sum(not request.done() for request in requests) == THREADS
        database.close()  # those that still wait are refused
