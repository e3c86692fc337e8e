"""POST /api/garmin/login/mfa-complete: which challenges take a code."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from shared.jobs.store import JobStore
from tests.api.problems import assert_problem, without_date
from tests.api.service import Service, eventually, pending


@pytest.fixture
def challenge_id(service: Service) -> str:
    return service.ask_for_code().challenge_id.get_secret_value()


def taken(service: Service, challenge_id: str) -> str:
    """Sends a code for the challenge. Returns the job that has it now."""
    reply = service.send_code(challenge_id)
    assert reply.status_code == 202, reply.text
    job_id: str = reply.json()["job_id"]
    return job_id


def test_a_second_code_has_to_wait_for_the_first(service: Service, challenge_id: str) -> None:
    taken(service, challenge_id)
    reply = service.send_code(challenge_id, "654321")
    assert_problem(reply, 409, "challenge_busy")
    assert 1 <= int(reply.headers["retry-after"]) <= 5
    assert service.redis.llen("fittrack:celery:mfa") == 1
    assert len([key for key in service.kept() if key.startswith("fittrack:job:")]) == 2


def test_of_many_codes_at_once_one_is_accepted(service: Service, challenge_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(service.send_code, [challenge_id] * 8))
    assert sorted(reply.status_code for reply in replies) == [202] + [409] * 7


def test_after_a_wrong_code_another_may_be_sent(service: Service, challenge_id: str) -> None:
    job_id = taken(service, challenge_id)
    assert service.challenges.reject(SecretStr(challenge_id), job_id, pending()) == 2
    taken(service, challenge_id)


def test_after_no_verdict_the_code_may_be_sent_again(service: Service, challenge_id: str) -> None:
    service.challenges.release(SecretStr(challenge_id), taken(service, challenge_id))
    taken(service, challenge_id)


def test_unknown_expired_finished_and_used_up_get_the_same_answer(service: Service) -> None:
    unknown = service.send_code("x" * 43)
    assert_problem(unknown, 404, "challenge_not_found")
    others = []

    expired = service.ask_for_code().challenge_id.get_secret_value()
    [key] = [key for key in service.kept() if "challenge" in key]
    service.redis.pexpire(key, 1)
    eventually(lambda: not service.redis.exists(key))
    others.append(service.send_code(expired))

    finished = service.ask_for_code().challenge_id.get_secret_value()
    service.challenges.finish(SecretStr(finished), taken(service, finished))
    others.append(service.send_code(finished))

    used_up = service.ask_for_code().challenge_id.get_secret_value()
    for _ in range(3):
        service.challenges.reject(SecretStr(used_up), taken(service, used_up), pending())
    others.append(service.send_code(used_up))

    for reply in others:
        assert (reply.status_code, reply.text) == (unknown.status_code, unknown.text)
        assert without_date(reply) == without_date(unknown)


def test_part_of_a_challenge_id_does_not_match(service: Service, challenge_id: str) -> None:
    for guess in (challenge_id[:-1], challenge_id.swapcase(), "*", "?" * 43):
        assert_problem(service.send_code(guess), 404, "challenge_not_found")


def test_a_refused_submission_creates_no_job(service: Service) -> None:
    assert_problem(service.send_code("x" * 43), 404, "challenge_not_found")
    assert service.kept() == set()


def test_a_job_id_is_not_a_challenge_id(service: Service) -> None:
    assert_problem(service.send_code(JobStore.new_id()), 404, "challenge_not_found")
