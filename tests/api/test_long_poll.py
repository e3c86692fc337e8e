"""GET /api/jobs/{job_id}?wait=…: no poll waits longer than needed, and none holds a thread."""

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from shared.errors import JobErrorCode, TimedOutError
from shared.jobs.states import Failure, JobStage
from tests.api.problems import assert_problem
from tests.api.service import LONGEST_WAIT, PATIENCE, Job, Service, bearer, eventually
from tests.api.wire import wire

CROWD = 200
POLLS_OF_ONE_JOB = 8


def test_a_poll_of_an_ended_job_answers_at_once(service: Service) -> None:
    job = service.submit()
    service.jobs.end(service.claim(job), Failure(code=JobErrorCode.TIMED_OUT))
    assert service.poll(job, wait=LONGEST_WAIT).json()["status"] == "failed"


def test_a_poll_answers_as_soon_as_a_worker_takes_the_job(service: Service) -> None:
    job = service.submit()
    with service.polling(job) as poll:
        service.claim(job)
        assert poll.result(PATIENCE).json()["status"] == "running"


def test_a_poll_answers_as_soon_as_the_stage_changes(service: Service) -> None:
    job = service.submit()
    claim = service.claim(job)
    with service.polling(job) as poll:
        service.jobs.advance(claim, JobStage.READING_PROFILE)
        reply = poll.result(PATIENCE)
    assert reply.json()["stage"] == "reading_profile"
    assert reply.headers["retry-after"] == "0"  # who waits in the poll may poll again at once


def test_a_change_between_two_polls_is_answered_at_once(service: Service) -> None:
    job = service.submit()
    seen = service.poll(job).json()["stage"]
    service.jobs.advance(service.claim(job), JobStage.CONTACTING_GARMIN)
    reply = service.poll(job, LONGEST_WAIT, seen=seen)
    assert reply.json()["stage"] == "contacting_garmin"


def test_a_poll_that_has_seen_the_stage_waits_for_the_next(service: Service) -> None:
    job = service.submit()
    claim = service.claim(job)
    service.jobs.advance(claim, JobStage.CONTACTING_GARMIN)
    with service.polling(job, seen="contacting_garmin") as poll:
        assert not poll.done()
        service.jobs.advance(claim, JobStage.READING_PROFILE)
        assert poll.result(PATIENCE).json()["stage"] == "reading_profile"


def test_a_poll_that_has_seen_the_stage_answers_when_a_worker_takes_the_job(
    service: Service,
) -> None:
    job = service.submit()
    with service.polling(job, seen="waiting_for_worker") as poll:
        service.claim(job)
        assert poll.result(PATIENCE).json()["status"] == "running"


def test_a_poll_that_has_seen_a_stage_answers_at_once_when_the_job_has_ended(
    service: Service,
) -> None:
    job = service.submit()
    service.jobs.end(service.claim(job), Failure.of(TimedOutError()))
    assert service.poll(job, LONGEST_WAIT, seen="storing").json()["status"] == "failed"


def test_a_poll_answers_as_soon_as_the_job_ends(service: Service) -> None:
    job = service.submit()
    claim = service.claim(job)
    with service.polling(job) as poll:
        service.jobs.end(claim, Failure(code=JobErrorCode.TIMED_OUT))
        reply = poll.result(PATIENCE)
    assert reply.json()["status"] == "failed"
    assert "retry-after" not in reply.headers


def test_a_poll_answers_after_its_wait(service: Service) -> None:
    job = service.submit()
    started = time.monotonic()
    reply = service.poll(job, wait=1)
    assert time.monotonic() - started >= 0.99
    assert reply.json()["status"] == "queued"
    assert reply.headers["retry-after"] == "0"


def test_a_poll_for_another_job_goes_on_waiting(service: Service) -> None:
    job, other = service.submit(), service.submit()
    claim = service.claim(job)
    with service.polling(other) as poll:
        service.jobs.advance(claim, JobStage.CONTACTING_GARMIN)
        service.jobs.end(claim, Failure(code=JobErrorCode.TIMED_OUT))
        assert service.poll(job).json()["status"] == "failed"
        assert not poll.done()
        service.claim(other)
        assert poll.result(PATIENCE).json()["job_id"] == other.job_id


def test_every_poll_of_a_job_is_answered(service: Service) -> None:
    job = service.submit()
    service.count_reads()
    with ThreadPoolExecutor(3) as pool:
        polls = [pool.submit(service.poll, job, LONGEST_WAIT) for _ in range(3)]
        service.until_read(3)
        service.claim(job)
        assert {poll.result(PATIENCE).json()["status"] for poll in polls} == {"running"}


def test_a_job_that_expires_while_it_is_polled_is_not_found(service: Service) -> None:
    job = service.submit()
    with service.polling(job, wait=2) as poll:
        service.redis.flushall()
        assert_problem(poll.result(PATIENCE), 404, "job_not_found")


def test_a_wrong_token_does_not_wait(service: Service) -> None:
    job = service.submit()
    reply = service.client.get(job.path, params={"wait": LONGEST_WAIT}, headers=bearer("wrong"))
    assert_problem(reply, 404, "job_not_found")


def test_200_concurrent_long_polls_do_not_delay_other_requests(service: Service) -> None:
    crowded = [service.submit() for _ in range(CROWD // POLLS_OF_ONE_JOB)]
    other = service.submit()

    async def one_of_the_crowd(job: Job) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.stack.port)
        lines = [
            f"GET {job.path}?wait={LONGEST_WAIT} HTTP/1.1",
            "Host: api.example",
            "Connection: close",
            f"Authorization: {job.headers['Authorization']}",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        reply = await reader.read()
        writer.close()
        await writer.wait_closed()
        return reply

    async def play() -> list[bytes]:
        jobs = crowded * POLLS_OF_ONE_JOB
        crowd = [asyncio.create_task(one_of_the_crowd(job)) for job in jobs]
        await asyncio.to_thread(service.until_read, CROWD)
        # They all wait. What needs a thread and Redis is still answered, long before they are.
        assert (await asyncio.to_thread(service.poll, other)).status_code == 200
        assert (await asyncio.to_thread(service.submit)).job_id
        assert not any(task.done() for task in crowd)
        for job in crowded:
            await asyncio.to_thread(service.claim, job)
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*crowd)

    service.count_reads()
    replies = asyncio.run(play())
    assert len(replies) == CROWD
    assert all(reply.startswith(b"HTTP/1.1 200 ") for reply in replies)
    assert all(b'"status":"running"' in reply for reply in replies)


def test_an_abandoned_poll_does_not_affect_others(service: Service) -> None:
    job = service.submit()
    service.count_reads()
    with wire(service.stack.port) as connection:
        target = f"{job.path}?wait={LONGEST_WAIT}"
        connection.head("GET", target, f"Authorization: {job.headers['Authorization']}")
        service.until_read(1)
    with service.polling(job) as poll:
        service.claim(job)
        assert poll.result(PATIENCE).json()["status"] == "running"


def test_a_ninth_poll_of_one_job_is_answered_at_once(service: Service) -> None:
    job, other = service.submit(), service.submit()
    service.until_listening()
    service.count_reads()
    with ThreadPoolExecutor(POLLS_OF_ONE_JOB) as pool:
        waiting = [pool.submit(service.poll, job, LONGEST_WAIT) for _ in range(POLLS_OF_ONE_JOB)]
        service.until_read(POLLS_OF_ONE_JOB)
        ninth = service.poll(job, wait=LONGEST_WAIT)
        assert ninth.json()["status"] == "queued"
        assert ninth.headers["retry-after"] == "1"
        assert not any(poll.done() for poll in waiting)
        with service.polling(other) as poll:  # its own eight are free
            service.claim(other)
            assert poll.result(PATIENCE).json()["status"] == "running"
        service.claim(job)
        assert {poll.result(PATIENCE).json()["status"] for poll in waiting} == {"running"}


def test_a_poll_ends_when_its_client_leaves(service: Service) -> None:
    job = service.submit()
    gone = _left_early(service)
    service.until_listening()
    service.count_reads()
    with socket.create_connection(("127.0.0.1", service.stack.port)) as client:
        head = [
            f"GET {job.path}?wait={LONGEST_WAIT} HTTP/1.1",
            "Host: api.example",
            f"Authorization: {job.headers['Authorization']}",
        ]
        client.sendall("\r\n".join([*head, "", ""]).encode())
        service.until_read(1)
    # Sooner than the poll would end: `eventually` waits less than LONGEST_WAIT.
    eventually(lambda: _left_early(service) == gone + 1)


def _left_early(service: Service) -> float:
    """How many polls ended because their client left."""
    line = 'fittrack_http_requests_total{method="GET",route="/api/jobs/{job_id}",status="499"} '
    lines = service.client.get("/metrics").text.splitlines()
    return sum(float(text.removeprefix(line)) for text in lines if text.startswith(line))
