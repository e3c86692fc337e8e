"""Both clients against the API itself, with the test in the worker's place."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from fittrack_auth_client import (
    ChallengeBusyError,
    ChallengeNotFoundError,
    CodeInvalidError,
    CodeRequired,
    ConnectionPage,
    FitTrackAuth,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    JobCancelledError,
    JobFailed,
    JobFailedError,
    JobInProgress,
    JobNotCancellableError,
    JobNotFoundError,
    LinkNotFoundError,
    NoResultInTimeError,
    Secret,
    SignedIn,
    SignInInProgressError,
    SubmittedJob,
    UnauthorizedError,
)
from shared.errors import JobErrorCode
from shared.jobs.challenges import NewChallenge
from shared.jobs.states import CodeRequested, Failure, JobStage, Outcome, Success
from tests.api.service import PATIENCE, Job, Service, eventually
from tests.client.clients import Connect


@pytest.fixture
def auth(connect: Connect, service: Service) -> FitTrackAuth:
    return connect(service.stack.url, max_retries=0)


def submit(auth: FitTrackAuth) -> SubmittedJob:
    return auth.submit_sign_in(f"{uuid4().hex}@example.com", "correct horse")


def end(service: Service, submitted: SubmittedJob, outcome: Outcome) -> None:
    """As the worker ends a job."""
    job = Job(submitted.job_id, submitted.poll_token.reveal())
    service.jobs.end(service.claim(job), outcome)


def success() -> Success:
    return Success(
        session_id=str(uuid4()),
        access_token=SecretStr("access-token"),
        session_expires_at=in_ten_minutes(),
        user_id=str(uuid4()),
        display_name="Läufer 🏃",
    )


def in_ten_minutes() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=600)


def code_requested(challenge: NewChallenge) -> CodeRequested:
    return CodeRequested(
        challenge_id=challenge.challenge_id,
        mfa_type="email",
        mfa_destination="ru***@example.com",
        expires_at=in_ten_minutes(),
        attempts_left=3,
    )


def ask_for_code(service: Service, auth: FitTrackAuth) -> CodeRequired:
    challenge = service.ask_for_code()
    submitted = submit(auth)
    end(service, submitted, code_requested(challenge))
    required = auth.wait(submitted)
    assert isinstance(required, CodeRequired)
    return required


def test_a_sign_in_ends_with_a_session(service: Service, auth: FitTrackAuth) -> None:
    submitted = submit(auth)
    before = auth.job(submitted)
    end(service, submitted, outcome := success())
    signed_in = auth.wait(submitted)

    assert before == JobInProgress(
        job_id=submitted.job_id, kind="login", status="queued", stage="waiting_for_worker"
    )
    assert isinstance(signed_in, SignedIn)
    assert signed_in.access_token == Secret("access-token")
    assert signed_in.session_id == outcome.session_id
    assert (signed_in.user.id, signed_in.user.display_name) == (outcome.user_id, "Läufer 🏃")
    assert 0 < signed_in.expires_in <= 600
    assert abs(signed_in.expires_at - outcome.session_expires_at) < timedelta(seconds=5)


def test_a_wait_is_told_each_stage(service: Service, auth: FitTrackAuth) -> None:
    submitted = submit(auth)
    claim = service.claim(Job(submitted.job_id, submitted.poll_token.reveal()))
    service.until_listening()
    stages: list[str] = []

    with ThreadPoolExecutor(1) as pool:
        service.count_reads()
        waiting = pool.submit(auth.wait, submitted, on_stage=stages.append)
        service.until_read(1)
        service.jobs.advance(claim, JobStage.STORING)
        eventually(lambda: "storing" in stages)
        service.jobs.end(claim, success())
        assert isinstance(waiting.result(PATIENCE), SignedIn)

    assert stages[0] == "waiting_for_worker"
    assert stages[-1] == "storing"


def test_a_wrong_code_may_be_followed_by_another(service: Service, auth: FitTrackAuth) -> None:
    challenge = ask_for_code(service, auth)
    assert (challenge.mfa_type, challenge.mfa_destination) == ("email", "ru***@example.com")
    assert challenge.attempts_left == 3
    assert timedelta(0) < challenge.expires_at - datetime.now(UTC) <= timedelta(seconds=600)

    first = auth.submit_code(challenge, "000000")
    wrong = Failure(
        code=JobErrorCode.MFA_CODE_INVALID,
        challenge_id=SecretStr(challenge.challenge_id.reveal()),
        attempts_left=2,
    )
    end(service, first, wrong)
    with pytest.raises(CodeInvalidError) as error:
        auth.wait(first)
    assert error.value.may_try_again
    assert error.value.attempts_left == 2
    assert error.value.job.challenge_id == challenge.challenge_id


def test_a_challenge_takes_one_code_at_a_time(service: Service, auth: FitTrackAuth) -> None:
    challenge = ask_for_code(service, auth)
    auth.submit_code(challenge.challenge_id.reveal(), "123456")

    with pytest.raises(ChallengeBusyError) as error:
        auth.submit_code(challenge, "123456")

    assert error.value.status == 409
    assert error.value.retry_after is not None


def test_a_code_may_be_pasted_with_what_is_around_it(service: Service, auth: FitTrackAuth) -> None:
    challenge = ask_for_code(service, auth)
    job = auth.submit_code(challenge, "\r\n \uff11\uff12\uff13\u00a0456\u200b\r\n")
    code = service.code_of(Job(job.job_id, job.poll_token.reveal()))
    assert code.code.get_secret_value() == "123456"


def test_an_unknown_challenge(auth: FitTrackAuth) -> None:
    with pytest.raises(ChallengeNotFoundError):
        auth.submit_code("no-such-challenge", "123456")


@pytest.mark.parametrize("code", JobErrorCode)
def test_a_failed_job_is_an_error_with_its_code(
    service: Service, auth: FitTrackAuth, code: JobErrorCode
) -> None:
    submitted = submit(auth)
    failure = Failure(code=code, retry_after=60)
    end(service, submitted, failure)

    state = auth.job(submitted)
    with pytest.raises(JobFailedError) as error:
        auth.wait(submitted)

    assert isinstance(state, JobFailed)
    assert (state.error.code, state.error.retry_after) == (code, 60)
    assert (error.value.code, error.value.message) == (code, failure.message)
    assert error.value.retry_after == 60
    assert not error.value.may_try_again
    assert (type(error.value) is JobFailedError) == (code is JobErrorCode.INTERNAL_ERROR)


def test_a_wrong_poll_token(auth: FitTrackAuth) -> None:
    submitted = submit(auth)

    with pytest.raises(JobNotFoundError) as error:
        auth.job(SubmittedJob(submitted.job_id, Secret("another-poll-token")))

    assert error.value.status == 404
    assert error.value.request_id


def test_the_same_idempotency_key_answers_the_same_job(auth: FitTrackAuth) -> None:
    username, key = f"{uuid4().hex}@example.com", str(uuid4())
    first = auth.submit_sign_in(username, "correct horse", idempotency_key=key)

    again = auth.submit_sign_in(username, "correct horse", idempotency_key=key)
    assert (again.job_id, again.poll_token) == (first.job_id, first.poll_token)
    with pytest.raises(IdempotencyKeyReusedError):
        auth.submit_sign_in(username, "another horse", idempotency_key=key)
    with pytest.raises(SignInInProgressError):
        auth.submit_sign_in(username, "correct horse")


def test_a_wrong_request_says_which_field(auth: FitTrackAuth) -> None:
    with pytest.raises(InvalidRequestError) as error:
        auth.submit_sign_in("x", "correct horse", domain="garmin.org")

    assert error.value.status == 422
    assert {field.loc[-1] for field in error.value.errors} == {"username", "domain"}
    assert "correct horse" not in str(error.value)


def test_a_session_is_shown_and_ended(service: Service, auth: FitTrackAuth) -> None:
    account = service.sign_in()

    session = auth.session(account.access_token)
    assert session.session_id == str(account.session_id)
    assert session.user.id == str(account.user_id)
    assert session.expires_at == account.session_expires_at
    assert session.garmin.linked
    assert session.garmin.driver == "garth"
    assert session.garmin.refreshable_until == account.tokens.refresh_expires_at

    auth.log_out(account.access_token)
    with pytest.raises(UnauthorizedError):
        auth.session(Secret(account.access_token))


@pytest.mark.parametrize("name", ["log_out_everywhere", "unlink"])
def test_every_session_of_a_person_is_ended(
    service: Service, auth: FitTrackAuth, name: str
) -> None:
    first, second = service.sign_in(guid := uuid4().hex), service.sign_in(guid)

    getattr(auth, name)(first.access_token)

    with pytest.raises(UnauthorizedError):
        auth.session(second.access_token)


@pytest.mark.parametrize("user_id", ["member-4711", "a/b?c#d%2E", "größe .. 🏃", "a..b"])
def test_an_app_sees_and_ends_its_connections(
    service: Service, connect: Connect, user_id: str
) -> None:
    key = service.app_with_link(user_id)["X-Client-Key"]
    app = connect(service.stack.url, client_key=key, max_retries=0)

    connection = app.connection(user_id)
    assert connection.user_id == user_id
    assert connection.garmin.linked
    app.disconnect(user_id)

    with pytest.raises(LinkNotFoundError):
        app.connection(user_id)
    with pytest.raises(LinkNotFoundError):
        app.disconnect(user_id)


def test_an_app_gets_the_token_of_a_connection(service: Service, connect: Connect) -> None:
    key = service.app_with_link("member-4711")["X-Client-Key"]
    app = connect(service.stack.url, client_key=key, max_retries=0)

    token = app.token("member-4711", min_valid_for=3600)
    assert token.access_token == Secret("garmin-access")
    assert "garmin-access" not in repr(token)
    assert timedelta(hours=23) < token.expires_at - datetime.now(UTC) <= timedelta(days=1)
    assert (token.api_base, token.access) == ("https://connectapi.garmin.com", "read_write")
    assert (token.domain, token.method) == ("garmin.com", "password")
    assert (token.user.display_name, token.user.garmin_display_name) == ("Läufer 🏃", None)

    with pytest.raises(LinkNotFoundError):
        app.token("somebody-else")
    with pytest.raises(NoResultInTimeError):  # there is no worker that would refresh it
        app.token("member-4711", rejected=token.access_token, timeout=0.5)
    with pytest.raises(InvalidRequestError):
        connect(service.stack.url, client_key=key).token("member-4711", min_valid_for=3601)


def test_a_person_gets_their_own_token(service: Service, auth: FitTrackAuth) -> None:
    account = service.sign_in()
    token = auth.session_token(account.access_token)
    assert token.access_token == Secret("garmin-access")
    assert token.user.id == str(account.user_id)

    auth.log_out(account.access_token)
    with pytest.raises(UnauthorizedError):
        auth.session_token(account.access_token)


@pytest.mark.parametrize("user_id", [".", "..", "../garmin/tokens"])
def test_a_user_id_never_leads_to_another_path(
    service: Service, connect: Connect, user_id: str
) -> None:
    key = service.app_with_link("somebody")["X-Client-Key"]
    app = connect(service.stack.url, client_key=key, max_retries=0)

    with pytest.raises((InvalidRequestError, LinkNotFoundError)):
        app.disconnect(user_id)


def test_a_sign_in_for_an_app_s_person_needs_a_good_key(
    service: Service, connect: Connect, auth: FitTrackAuth
) -> None:
    key = service.app_with_link("somebody")["X-Client-Key"]
    app = connect(service.stack.url, client_key=Secret(key), max_retries=0)
    stranger = connect(service.stack.url, client_key="x" * 43, max_retries=0)
    username = f"{uuid4().hex}@example.com"

    with pytest.raises(UnauthorizedError):
        stranger.submit_sign_in(username, "correct horse", user_id="member-4711")
    with pytest.raises(UnauthorizedError):
        auth.connection("somebody")
    assert app.submit_sign_in(username, "correct horse", user_id="member-4711").job_id


def test_a_sign_in_is_cancelled(auth: FitTrackAuth) -> None:
    submitted = submit(auth)
    auth.cancel(submitted)
    with pytest.raises(JobCancelledError):
        auth.wait(submitted)
    auth.cancel(submitted)


def test_a_sign_in_that_waits_for_a_code_is_cancelled(service: Service, auth: FitTrackAuth) -> None:
    submitted, challenge = submit(auth), service.ask_for_code()
    end(service, submitted, code_requested(challenge))
    required = auth.wait(submitted)
    assert isinstance(required, CodeRequired)
    auth.cancel(submitted)
    with pytest.raises(ChallengeNotFoundError):
        auth.enter_code(required, "123456")


def test_a_sign_in_that_has_ended_is_not_cancelled(service: Service, auth: FitTrackAuth) -> None:
    submitted = submit(auth)
    end(service, submitted, success())
    with pytest.raises(JobNotCancellableError):
        auth.cancel(submitted)


def test_an_app_lists_its_connections(connect: Connect, service: Service) -> None:
    app = service.app_with_link("member-1")
    auth = connect(service.stack.url, client_key=app["X-Client-Key"], max_retries=0)
    page = auth.connections(limit=1)
    assert page == ConnectionPage((auth.connection("member-1"),), None)
    assert auth.connections(state="sign_in_required").connections == ()
    with pytest.raises(InvalidRequestError):
        auth.connections(cursor="nonsense")
