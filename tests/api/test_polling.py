"""GET /api/jobs/{job_id}: what a job looks like, and to whom."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from shared.errors import JobErrorCode, MfaCodeInvalidError
from shared.jobs.states import CodeRequested, Failure, JobStage, Outcome, Success
from tests.api.problems import assert_problem, faults, without_date
from tests.api.service import Job, Service, bearer
from tests.api.wire import wire


def ended(service: Service, outcome: Outcome) -> Job:
    job = service.submit()
    service.jobs.end(service.claim(job), outcome)
    return job


def code_job(service: Service) -> Job:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    reply = service.send_code(challenge_id)
    return Job(reply.json()["job_id"], reply.json()["poll_token"])


def in_ten_minutes() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=600)


def test_a_queued_job(service: Service) -> None:
    job = service.submit()
    reply = service.poll(job)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["retry-after"] == "1"
    assert reply.json() == {
        "job_id": job.job_id,
        "kind": "login",
        "status": "queued",
        "stage": "waiting_for_worker",
        "success": False,
        "mfa_required": False,
    }


@pytest.mark.parametrize("stage", [stage for stage in JobStage if stage != "waiting_for_worker"])
def test_a_running_job(service: Service, stage: JobStage) -> None:
    job = code_job(service)
    service.jobs.advance(service.claim(job), stage)
    reply = service.poll(job)
    assert reply.headers["retry-after"] == "1"
    assert reply.json() == {
        "job_id": job.job_id,
        "kind": "mfa_completion",
        "status": "running",
        "stage": stage.value,
        "success": False,
        "mfa_required": False,
    }


@pytest.mark.parametrize("destination", ["ru***@example.com", None])
@pytest.mark.parametrize("mfa_type", ["email", "sms", "app", "something-new"])
def test_a_job_that_waits_for_a_code(
    service: Service, mfa_type: str, destination: str | None
) -> None:
    challenge = CodeRequested(
        challenge_id=SecretStr("challenge"),
        mfa_type=mfa_type,
        mfa_destination=destination,
        expires_at=in_ten_minutes(),
        attempts_left=3,
    )
    job = ended(service, challenge)
    reply = service.poll(job)
    assert "retry-after" not in reply.headers
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert 0 < body.pop("expires_in") <= 600
    assert body == {
        "job_id": job.job_id,
        "kind": "login",
        "status": "mfa_required",
        "success": False,
        "mfa_required": True,
        "mfa_challenge_id": "challenge",
        "mfa_type": mfa_type,
        "mfa_destination": destination,
        "attempts_left": 3,
    }


def test_a_succeeded_job(service: Service) -> None:
    success = Success(
        session_id=str(uuid4()),
        access_token=SecretStr("access"),
        session_expires_at=in_ten_minutes(),
        user_id=str(uuid4()),
        display_name="Läufer 🏃",
    )
    job = ended(service, success)
    reply = service.poll(job)
    assert "retry-after" not in reply.headers
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert 0 < body.pop("expires_in") <= 600
    assert body == {
        "job_id": job.job_id,
        "kind": "login",
        "status": "succeeded",
        "success": True,
        "mfa_required": False,
        "session_id": success.session_id,
        "access_token": "access",
        "token_type": "Bearer",
        "user": {"id": success.user_id, "display_name": "Läufer 🏃"},
    }


@pytest.mark.parametrize("retry_after", [3600, None])
@pytest.mark.parametrize("code", JobErrorCode)
def test_a_failed_job(service: Service, code: JobErrorCode, retry_after: int | None) -> None:
    job = ended(service, Failure(code=code, message="Why.", retry_after=retry_after))
    reply = service.poll(job)
    assert reply.status_code == 200
    assert "retry-after" not in reply.headers
    assert reply.json() == {
        "job_id": job.job_id,
        "kind": "login",
        "status": "failed",
        "success": False,
        "mfa_required": False,
        "error": {"code": code.value, "message": "Why.", "retry_after": retry_after},
    }


def test_a_wrong_code_tells_how_many_more_may_be_tried(service: Service) -> None:
    failure = Failure.of(MfaCodeInvalidError().with_challenge(SecretStr("challenge"), 2))
    job = code_job(service)
    service.jobs.end(service.claim(job), failure)
    assert service.poll(job).json() == {
        "job_id": job.job_id,
        "kind": "mfa_completion",
        "status": "failed",
        "success": False,
        "mfa_required": False,
        "error": {
            "code": "mfa_code_invalid",
            "message": "Garmin rejected the code.",
            "retry_after": None,
        },
        "attempts_left": 2,
        "mfa_challenge_id": "challenge",
    }


def test_the_time_left_is_never_negative(service: Service) -> None:
    challenge = CodeRequested(
        challenge_id=SecretStr("challenge"),
        mfa_type="email",
        mfa_destination=None,
        expires_at=datetime.now(UTC) - timedelta(hours=1),
        attempts_left=3,
    )
    assert service.poll(ended(service, challenge)).json()["expires_in"] == 0


def test_an_ended_job_can_be_polled_again(service: Service) -> None:
    job = ended(service, Failure(code=JobErrorCode.TIMED_OUT))
    assert service.poll(job).json() == service.poll(job).json()


def test_an_unknown_job_and_a_wrong_poll_token_get_the_same_answer(service: Service) -> None:
    job, other = service.submit(), service.submit()
    unknown = service.poll(Job(str(uuid4()), job.poll_token))
    wrong = [
        service.poll(Job(job.job_id, token))
        for token in (other.poll_token, "x", job.poll_token[:-1], job.poll_token.swapcase())
    ]
    assert_problem(unknown, 404, "job_not_found")
    for reply in wrong:
        assert (reply.status_code, reply.text) == (unknown.status_code, unknown.text)
        assert without_date(reply) == without_date(unknown)


@pytest.mark.parametrize("wait", [0, 30])
def test_an_unknown_job_and_a_wrong_poll_token_do_not_wait(service: Service, wait: int) -> None:
    wrong = service.poll(Job(service.submit().job_id, "wrong"), wait)
    unknown = service.poll(Job(str(uuid4()), "wrong"), wait)
    assert (wrong.status_code, wrong.text) == (unknown.status_code, unknown.text)


def test_an_expired_job_is_answered_as_an_unknown_one(service: Service) -> None:
    job = service.submit()
    unknown = service.poll(Job(str(uuid4()), "x"))
    service.redis.flushall()
    assert service.poll(job).text == unknown.text


@pytest.mark.parametrize(
    "other_name",
    [
        "{0}:input",
        "{0}:lease",
        "{0}%3Ainput",
        "{0}%00",
        "{0}%0D%0AX-Injected:%201",
        "{0}%ff",
        "{0}%20",
        "%7B{0}%7D",
        "..%2f{0}",
        "*",
        "x" * 2000,
    ],
)
def test_an_invalid_job_id_is_not_found(service: Service, other_name: str) -> None:
    job = service.submit()
    service.claim(job)  # now there are an input and a lease beside it
    reply = service.client.get(f"/api/jobs/{other_name.format(job.job_id)}", headers=job.headers)
    assert reply.status_code == 404
    assert reply.json()["code"] in ("job_not_found", "not_found")
    assert "x-injected" not in reply.headers


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer   ", "Basic {0}", "{0}", "Bearer{0}", "Token {0}"],
)
def test_a_poll_without_a_bearer_token_is_unauthorized(
    service: Service, authorization: str | None
) -> None:
    job = service.submit()
    headers = [] if authorization is None else [f"Authorization: {authorization}"]
    with wire(service.stack.port) as connection:
        connection.head("GET", job.path, *(line.format(job.poll_token) for line in headers))
        reply = connection.reply()
    assert_problem(reply, 401, "unauthorized")
    assert reply.headers["www-authenticate"].startswith("Bearer")


def test_a_token_that_is_not_ascii_is_a_wrong_one(service: Service) -> None:
    headers = {b"Authorization": b"Bearer \xff"}
    reply = service.client.get(service.submit().path, headers=headers)
    assert_problem(reply, 404, "job_not_found")


def test_a_very_long_token_is_unauthorized(service: Service) -> None:
    reply = service.client.get(service.submit().path, headers=bearer("x" * 20_000))
    assert_problem(reply, 401, "unauthorized")


def test_the_bearer_scheme_is_case_insensitive(service: Service) -> None:
    job = service.submit()
    headers = {"Authorization": f"bEARER  {job.poll_token}"}
    assert service.client.get(job.path, headers=headers).status_code == 200


def test_a_poll_token_in_the_query_is_ignored(service: Service) -> None:
    job = service.submit()
    reply = service.client.get(job.path, params={"access_token": job.poll_token})
    assert_problem(reply, 401, "unauthorized")


@pytest.mark.parametrize(
    "wait",
    ["31", "-1", "100", "1.5", "1e1", "0x1", "+1", "%201", "", "abc", "٣", "%00", "9" * 5000],
)
def test_a_poll_waits_for_0_to_30_whole_seconds(service: Service, wait: str) -> None:
    job = service.submit()
    reply = service.client.get(f"{job.path}?wait={wait}", headers=job.headers)
    assert faults(reply) == [["query", "wait"]]


@pytest.mark.parametrize("seen", ["", "queued", "Storing", "storing ", "%00", "x" * 5000])
def test_an_unknown_stage_is_refused_naming_the_known_ones(service: Service, seen: str) -> None:
    job = service.submit()
    reply = service.client.get(f"{job.path}?wait=1&seen={seen}", headers=job.headers)
    assert faults(reply) == [["query", "seen"]]
    assert all(stage in reply.text for stage in JobStage)


def test_a_bug_is_answered_and_logged_without_its_text(service: Service) -> None:
    job = service.submit()
    service.end_with_a_bug(job, "unheard-of")
    reply = service.poll(job)
    problem = assert_problem(reply, 500, "internal_error")
    assert "unheard-of" not in str(problem)
    assert "bug: TypeError at " in service.api.output()
    assert "unheard-of" not in service.api.output()


def test_stages_and_kinds_of_a_newer_version_are_no_bug(service: Service) -> None:
    job = service.submit()
    key = f"fittrack:job:{job.job_id}"
    service.redis.hset(key, mapping={"stage": "of_a_newer_version", "kind": "newer"})
    reply = service.poll(job, wait=1)
    assert reply.status_code == 200
    assert (reply.json()["stage"], reply.json()["kind"]) == ("waiting_for_worker", "newer")
    service.redis.hset(key, "status", "running")
    assert service.poll(job).json()["stage"] == "contacting_garmin"
