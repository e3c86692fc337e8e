"""DELETE /api/jobs/{job_id}."""

from uuid import uuid4

import httpx

from shared.errors import JobErrorCode
from shared.jobs.states import CodeRequested, Failure
from tests.api.problems import assert_problem
from tests.api.service import CREDENTIALS, LOGIN, PATIENCE, Job, Service, bearer


def cancel(service: Service, job: Job, token: str | None = None) -> httpx.Response:
    headers = job.headers if token is None else bearer(token)
    return service.client.delete(job.path, headers=headers)


def error_of(service: Service, job: Job) -> str:
    body = service.poll(job).json()
    assert body["status"] == "failed"
    assert body["success"] is False
    code: str = body["error"]["code"]
    return code


def test_a_queued_job_is_cancelled_and_its_account_is_free(service: Service) -> None:
    job = service.submit(CREDENTIALS)
    assert service.client.post(LOGIN, json=CREDENTIALS).status_code == 409
    reply = cancel(service, job)
    assert (reply.status_code, reply.content) == (204, b"")
    assert error_of(service, job) == "cancelled"
    assert cancel(service, job).status_code == 204
    assert service.client.post(LOGIN, json=CREDENTIALS).status_code == 202


def test_a_poll_that_waits_is_answered_at_once(service: Service) -> None:
    job = service.submit()
    with service.polling(job) as poll:
        assert cancel(service, job).status_code == 204
        assert poll.result(PATIENCE).json()["error"]["code"] == "cancelled"


def test_a_sign_in_that_waits_for_a_code_takes_none_any_more(service: Service) -> None:
    job, challenge = service.submit(), service.ask_for_code()
    code_required = CodeRequested(
        challenge_id=challenge.challenge_id,
        mfa_type="email",
        mfa_destination=None,
        expires_at=challenge.expires_at,
        attempts_left=3,
    )
    service.jobs.end(service.claim(job), code_required)
    assert cancel(service, job).status_code == 204
    assert error_of(service, job) == "cancelled"
    reply = service.send_code(challenge.challenge_id.get_secret_value())
    assert_problem(reply, 404, "challenge_not_found")


def test_a_code_is_cancelled_together_with_its_challenge(service: Service) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    reply = service.send_code(challenge_id).json()
    assert cancel(service, Job(reply["job_id"], reply["poll_token"])).status_code == 204
    assert_problem(service.send_code(challenge_id), 404, "challenge_not_found")


def test_a_running_job_is_cancelled_for_who_polls_it(service: Service) -> None:
    job = service.submit()
    claim = service.claim(job)
    assert cancel(service, job).status_code == 204
    assert error_of(service, job) == "cancelled"
    assert service.jobs.end(claim, Failure(code=JobErrorCode.INVALID_CREDENTIALS)) == "cancelled"
    assert error_of(service, job) == "cancelled"


def test_a_job_that_has_ended_is_not_cancelled(service: Service) -> None:
    job = service.submit()
    service.jobs.end(service.claim(job), Failure(code=JobErrorCode.INVALID_CREDENTIALS))
    assert_problem(cancel(service, job), 409, "job_not_cancellable")
    assert error_of(service, job) == "invalid_credentials"


def test_only_the_poll_token_cancels(service: Service) -> None:
    job, other = service.submit(), service.submit()
    assert_problem(cancel(service, job, other.poll_token), 404, "job_not_found")
    assert_problem(cancel(service, Job(str(uuid4()), job.poll_token)), 404, "job_not_found")
    assert_problem(cancel(service, Job("x", job.poll_token)), 404, "job_not_found")
    assert_problem(service.client.delete(job.path), 401, "unauthorized")
    assert service.poll(job).json()["status"] == "queued"
