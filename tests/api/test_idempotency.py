"""`Idempotency-Key`, and one sign-in at a time for one account."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from shared.errors import JobErrorCode
from shared.jobs.states import Failure
from tests.api.problems import assert_problem, faults
from tests.api.service import CODE, CREDENTIALS, LOGIN, Job, Service


def login(service: Service, key: str | None, **changes: str) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return service.client.post(LOGIN, json=CREDENTIALS | changes, headers=headers)


def send_code(
    service: Service, challenge_id: str, key: str, code: str = "123456"
) -> httpx.Response:
    body = {"challenge_id": challenge_id, "mfa_code": code}
    return service.client.post(CODE, json=body, headers={"Idempotency-Key": key})


def job_of(reply: httpx.Response) -> Job:
    assert reply.status_code == 202, reply.text
    return Job(reply.json()["job_id"], reply.json()["poll_token"])


def test_the_same_key_and_body_answer_the_same_job(service: Service) -> None:
    first, second = (job_of(login(service, "key-1")) for _ in range(2))
    assert first == second
    assert service.poll(second).status_code == 200


def test_equivalent_bodies_count_as_the_same(service: Service) -> None:
    first = job_of(login(service, "key-1"))
    assert job_of(login(service, "key-1", domain="garmin.com")) == first


def test_a_repeated_submission_answers_an_ended_job(service: Service) -> None:
    first = job_of(login(service, "key-1"))
    service.jobs.end(service.claim(first), Failure(code=JobErrorCode.TIMED_OUT))
    again = job_of(login(service, "key-1"))
    assert again == first
    assert service.poll(again).json()["status"] == "failed"


@pytest.mark.parametrize(
    "changes",
    [{"password": "new-one"}, {"username": "other@example.com"}, {"domain": "garmin.cn"}],
)
def test_the_same_key_with_another_body_is_refused(
    service: Service, changes: dict[str, str]
) -> None:
    first = job_of(login(service, "key-1"))
    reply = login(service, "key-1", **changes)
    problem = assert_problem(reply, 422, "idempotency_key_reused")
    assert not [value for value in changes.values() if value in str(problem)]
    assert service.poll(first).status_code == 200


def test_concurrent_repeats_get_one_job(service: Service) -> None:
    with ThreadPoolExecutor(20) as pool:
        jobs = set(pool.map(lambda _: job_of(login(service, "key-1")), range(20)))
    assert len(jobs) == 1


def test_a_repeated_code_is_submitted_once(service: Service) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    first = job_of(send_code(service, challenge_id, "key-1"))
    assert job_of(send_code(service, challenge_id, "key-1", "123 456")) == first
    reply = send_code(service, challenge_id, "key-1", "654321")
    assert_problem(reply, 422, "idempotency_key_reused")
    assert_problem(send_code(service, challenge_id, "key-2"), 409, "challenge_busy")


def test_the_two_endpoints_do_not_share_keys(service: Service) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    assert job_of(login(service, "key")) != job_of(send_code(service, challenge_id, "key"))


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "tab\there"])
def test_an_invalid_key_is_refused(service: Service, key: str) -> None:
    assert faults(login(service, key)) == [["header", "Idempotency-Key"]]
    assert service.kept() == set()


def test_the_body_can_not_be_guessed_from_redis(service: Service) -> None:
    key = uuid4().hex
    job = job_of(login(service, key))
    kept = b"".join(k + (service.redis.dump(k) or b"") for k in service.redis.scan_iter("*"))
    secrets = [key, job.poll_token, *CREDENTIALS.values()]
    assert [secret for secret in secrets if secret.encode() in kept] == []


# One sign-in at a time


def test_a_second_sign_in_for_the_account_must_wait(service: Service) -> None:
    first = job_of(login(service, None))
    for changes in ({}, {"username": " Runner@EXAMPLE.com"}, {"password": "another"}):
        reply = login(service, None, **changes)
        assert_problem(reply, 409, "sign_in_in_progress")
        assert int(reply.headers["Retry-After"]) > 0
    service.jobs.end(service.claim(first), Failure(code=JobErrorCode.INVALID_CREDENTIALS))
    job_of(login(service, None))


def test_the_same_name_in_the_other_domain_is_another_account(service: Service) -> None:
    job_of(login(service, None))
    job_of(login(service, None, domain="garmin.cn"))


def test_of_concurrent_sign_ins_for_an_account_one_is_accepted(service: Service) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: login(service, None), range(20)))
    assert sorted(reply.status_code for reply in replies) == [202] + [409] * 19
