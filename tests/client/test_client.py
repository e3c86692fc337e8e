"""Both clients against a scripted service: outages, garbage, and what goes where."""

import pickle
import threading
import traceback

import pytest

from fittrack_auth_client import (
    AnswerLostError,
    ApiError,
    CodeRequired,
    FitTrackAuth,
    FitTrackAuthError,
    NoResultInTimeError,
    RateLimitedError,
    Secret,
    ServiceUnavailableError,
    ServiceUnreachableError,
    SignedIn,
    SubmittedJob,
    UnexpectedAnswerError,
    UsageError,
)
from tests.client.clients import Connect
from tests.client.stand_in import (
    ACCESS_TOKEN,
    CHALLENGE,
    CODE,
    LOG_OUT,
    LOGIN,
    SESSION,
    Answer,
    Breaks,
    StandIn,
    accepted,
    code_asked,
    done,
    failed,
    job,
    poll_token,
    problem,
    session,
    succeeded,
    under_way,
)

PASSWORD = "correct horse battery staple"
RIGHT_CODE = "123456"


@pytest.fixture
def auth(connect: Connect, stand_in: StandIn) -> FitTrackAuth:
    return connect(stand_in.url)


def test_a_whole_sign_in_with_a_code(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(LOGIN, accepted("one"))
    stand_in.on(job("one"), under_way("one", "contacting_garmin"), code_asked("one"))
    stand_in.on(CODE, accepted("two"))
    stand_in.on(job("two"), succeeded("two"))
    stages: list[str] = []

    challenge = auth.sign_in("runner@example.com", PASSWORD, on_stage=stages.append)
    assert isinstance(challenge, CodeRequired)
    signed_in = auth.enter_code(challenge, RIGHT_CODE)

    assert isinstance(signed_in, SignedIn)
    assert signed_in.access_token == Secret(ACCESS_TOKEN)
    assert stages == ["waiting_for_worker", "contacting_garmin"]
    assert stand_in.seen(CODE)[0].data == {"challenge_id": CHALLENGE, "mfa_code": RIGHT_CODE}


def test_each_poll_says_which_stage_was_seen(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(LOGIN, accepted("one"))
    stand_in.on(
        job("one"),
        under_way("one", "contacting_garmin"),
        under_way("one", "storing"),
        succeeded("one"),
    )

    auth.sign_in("runner@example.com", PASSWORD)

    queries = [request.query for request in stand_in.seen(job("one"))]
    assert [query["seen"] for query in queries] == [
        ["waiting_for_worker"],
        ["contacting_garmin"],
        ["storing"],
    ]
    assert all(query["wait"] == ["20"] for query in queries)


def test_a_lost_submission_is_sent_again_with_its_key(
    stand_in: StandIn, auth: FitTrackAuth, pauses: list[float]
) -> None:
    stand_in.on(LOGIN, Breaks(), accepted("one"))

    assert auth.submit_sign_in("runner@example.com", PASSWORD).job_id == "one"

    assert pauses == [0.5]
    assert len({request.headers["idempotency-key"] for request in stand_in.seen(LOGIN)}) == 1


def test_a_submission_has_a_key_of_its_own_or_the_caller_s(
    stand_in: StandIn, auth: FitTrackAuth
) -> None:
    stand_in.on(LOGIN, accepted("one"))

    auth.submit_sign_in("runner@example.com", PASSWORD)
    auth.submit_sign_in("runner@example.com", PASSWORD)
    auth.submit_sign_in("runner@example.com", PASSWORD, idempotency_key="of-the-caller")

    keys = [request.headers["idempotency-key"] for request in stand_in.seen(LOGIN)]
    assert len(set(keys)) == 3
    assert keys[2] == "of-the-caller"


def test_retries_end_and_tell_of_each_pause(
    stand_in: StandIn, connect: Connect, pauses: list[float]
) -> None:
    stand_in.on(SESSION, problem(503, "service_unavailable", retry_after=5))
    told: list[tuple[str, float]] = []
    auth = connect(
        stand_in.url,
        max_retries=2,
        on_retry=lambda error, seconds: told.append((error.code, seconds)),
    )

    with pytest.raises(ServiceUnavailableError) as error:
        auth.session(ACCESS_TOKEN)

    assert error.value.retry_after == 5
    assert len(stand_in.seen(SESSION)) == 3
    assert told == [("service_unavailable", 5.0)] * 2
    assert pauses == [5.0, 5.0]


def test_a_pause_of_more_than_a_minute_is_left_to_the_caller(
    stand_in: StandIn, auth: FitTrackAuth, pauses: list[float]
) -> None:
    stand_in.on(LOGIN, problem(429, "rate_limited", retry_after=61))

    with pytest.raises(RateLimitedError) as error:
        auth.sign_in("runner@example.com", PASSWORD)

    assert (error.value.status, error.value.retry_after) == (429, 61)
    assert pauses == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Breaks(), AnswerLostError),
        (Answer(504, raw=b"<html>"), AnswerLostError),
        (Answer(429, raw=b"<html>"), RateLimitedError),
        (Answer(200, raw=b"<html>"), UnexpectedAnswerError),
        (Answer(202, {"job_id": "one", "poll_token": 1, "expires_in": 900}), UnexpectedAnswerError),
        (
            Answer(202, {"job_id": "one", "poll_token": "t", "expires_in": True}),
            UnexpectedAnswerError,
        ),
        (Answer(308, headers={"Location": "https://example.com/"}), UnexpectedAnswerError),
        (problem(418, "brand_new"), ApiError),
    ],
)
def test_what_a_submission_may_be_answered(
    stand_in: StandIn, connect: Connect, answer: Answer, kind: type[FitTrackAuthError]
) -> None:
    stand_in.on(LOGIN, answer)

    with pytest.raises(kind) as error:
        connect(stand_in.url, max_retries=0).submit_sign_in("runner@example.com", PASSWORD)

    assert type(error.value) is kind


def test_a_wait_goes_on_through_outages(
    stand_in: StandIn, connect: Connect, pauses: list[float]
) -> None:
    auth = connect(stand_in.url, max_retries=0)
    stand_in.on(job("one"), *[Breaks()] * 5, problem(503, "x", retry_after=9), succeeded("one"))

    assert isinstance(auth.wait(SubmittedJob("one", Secret("t"))), SignedIn)

    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 9.0]


def test_a_wait_ends_when_its_time_is_over(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(job("one"), under_way("one", "storing"))

    with pytest.raises(NoResultInTimeError):
        auth.wait(SubmittedJob("one", Secret("t")), timeout=0.5)


def test_an_answer_that_does_not_come_is_not_waited_for(
    stand_in: StandIn, connect: Connect
) -> None:
    never = threading.Event()
    stand_in.on(SESSION, Answer(200, held_by=never))

    with pytest.raises(ServiceUnreachableError):
        connect(stand_in.url, timeout=0.3, max_retries=0).session(ACCESS_TOKEN)
    never.set()


def test_the_client_key_goes_with_submissions_and_connections_alone(
    stand_in: StandIn, connect: Connect
) -> None:
    link = {"user_id": "a b", "user": {"id": "1"}, "garmin": {"linked": False}}
    stand_in.on(LOGIN, accepted("one"))
    stand_in.on(job("one"), succeeded("one"))
    stand_in.on(SESSION, session())
    stand_in.on(LOG_OUT, done())
    stand_in.on("GET /api/users/a%20b/garmin", Answer(200, link))
    auth = connect(stand_in.url, client_key="key-of-the-app")

    auth.sign_in("runner@example.com", PASSWORD, user_id="a b")
    auth.session(ACCESS_TOKEN)
    auth.log_out(ACCESS_TOKEN)
    assert not auth.connection("a b").garmin.linked

    with_key = [r.line for r in stand_in.requests if "x-client-key" in r.headers]
    assert with_key == [LOGIN, "GET /api/users/a%20b/garmin"]
    assert (stand_in.seen(LOGIN)[0].data or {})["user_id"] == "a b"


def test_no_secret_is_in_a_result_s_or_an_error_s_text(stand_in: StandIn, connect: Connect) -> None:
    auth = connect(stand_in.url, max_retries=0, client_key="key-of-the-app")
    stand_in.on(LOGIN, accepted("one"))
    stand_in.on(job("one"), code_asked("one"))
    stand_in.on(CODE, accepted("two"), Breaks())
    stand_in.on(job("two"), failed("two", "mfa_code_invalid", attempts_left=2))
    texts: list[str] = []

    submitted = auth.submit_sign_in("runner@example.com", PASSWORD)
    challenge = auth.wait(submitted)
    assert isinstance(challenge, CodeRequired)
    for _ in range(2):
        with pytest.raises(FitTrackAuthError) as error:
            auth.enter_code(challenge, RIGHT_CODE)
        texts += [repr(error.value), "".join(traceback.format_exception(error.value))]

    texts += [repr(submitted), str(challenge), repr(Secret("s3cret")), f"{Secret('s3cret')}"]
    secrets = (PASSWORD, CHALLENGE, poll_token("one"), RIGHT_CODE, "key-of-the-app", "s3cret")
    assert not [secret for secret in secrets for text in texts if secret in text]


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "tökn"])
def test_a_token_that_no_header_can_hold_is_not_sent(
    stand_in: StandIn, connect: Connect, token: str
) -> None:
    with pytest.raises(UsageError) as error:
        connect(stand_in.url).session(token)
    with pytest.raises(UsageError):
        connect(stand_in.url, client_key=token)

    assert error.value.code == "bad_input"
    assert stand_in.requests == []


def test_a_secret_is_compared_by_its_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert pickle.loads(pickle.dumps(Secret("a"))).reveal() == "a"  # noqa: S301 - our own
