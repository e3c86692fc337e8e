"""A code that is sent again: by the driver whose flow can, for a challenge that stays open."""

import pytest

from shared import errors
from shared.errors import JobErrorCode
from shared.jobs.states import CodeRequested, Failure
from tests.worker.scripted import pending
from tests.worker.test_account_limits import ANNA, Worker, worker
from tests.worker.ways import WIDGET, Way, next_state

__all__ = ["worker"]

only_widget = pytest.mark.parametrize("way", [WIDGET], indirect=True)


@only_widget
@pytest.mark.parametrize("method", ["email", "sms"])
def test_the_newest_code_finishes_the_sign_in(way: Way, method: str) -> None:
    username = f"{method}-anna@example.com"
    begun = way.pending(username)
    assert begun.can_resend
    first = way.garmin.code(username)
    way.garmin.advance_clock(31)
    again = way.resend(begun)
    assert len(way.garmin.codes(username)) == 2
    assert again.can_resend
    newest = way.garmin.code(username)
    assert newest != first
    assert way.who(way.finish(again, newest)) == way.guid(username)
    assert way.posts(username) == 1


@only_widget
def test_a_code_can_be_sent_again_after_a_wrong_one(way: Way) -> None:
    username = "email-bob@example.com"
    begun = way.pending(username)
    error = way.refused_code(begun, "000000x", errors.MfaCodeInvalidError)
    way.garmin.advance_clock(31)
    again = way.resend(next_state(begun, error))
    assert way.finish(again, way.garmin.code(username))


@only_widget
def test_what_garmin_says_instead_of_sending_it(way: Way) -> None:
    begun = way.pending("email-carl@example.com")
    with pytest.raises(errors.ClientRefusedError) as caught:
        way.resend(begun)  # too soon
    way.checked(caught.value, errors.ClientRefusedError)
    way.garmin.expire_sessions("email-carl@example.com")
    with pytest.raises(errors.SignInExpiredError):
        way.resend(begun)


@only_widget
def test_a_limit_of_garmins_is_told(way: Way) -> None:
    begun = way.pending("email-dora@example.com")
    limit = {"error": "codeEntryMaxLimit"}
    way.garmin.add_fault(kind="json", path="/sso/verifyMFA/mfaCode", status=429, body=limit)
    with pytest.raises(errors.CodeLimitReachedError):
        way.resend(begun)


@only_widget
def test_an_answer_that_gets_lost_is_no_verdict(way: Way) -> None:
    begun = way.pending("email-emil@example.com")
    way.garmin.advance_clock(31)
    way.garmin.add_fault(kind="cut", path="/sso/verifyMFA/mfaCode", when="after", times=1)
    with pytest.raises(errors.GarminUnavailableError):
        way.resend(begun)
    assert way.finish(begun, way.garmin.code("email-emil@example.com"))


@pytest.mark.parametrize("method", ["email", "app"])
def test_other_flows_and_apps_can_not(way: Way, method: str) -> None:
    assert way.pending(f"{method}-fay@example.com").can_resend == (
        way.name == WIDGET and method == "email"
    )


CAN = pending("garth").model_copy(update={"can_resend": True})


def test_the_challenge_stays_as_it_was(worker: Worker) -> None:
    challenge = worker.challenges.create(CAN, ANNA)
    outcome = worker.resend(challenge.challenge_id)
    assert isinstance(outcome, CodeRequested)
    assert outcome.challenge_id == challenge.challenge_id
    assert outcome.attempts_left == challenge.attempts_left
    assert abs((outcome.expires_at - challenge.expires_at).total_seconds()) < 5
    assert worker.try_code(challenge.challenge_id) is not None
    assert worker.driver.calls == ["resend", "finish", "identify"]


def test_each_code_that_is_sent_counts(worker: Worker) -> None:
    challenge_id = worker.challenges.create(CAN, ANNA).challenge_id
    for _ in range(3):
        assert isinstance(worker.resend(challenge_id), CodeRequested)
    refused = worker.resend(challenge_id)
    assert isinstance(refused, Failure)
    assert (refused.code, refused.challenge_id) == (JobErrorCode.RATE_LIMITED, challenge_id)
    assert worker.driver.calls == ["resend"] * 3


def test_no_answer_leaves_the_challenge_open(worker: Worker) -> None:
    challenge_id = worker.challenges.create(CAN, ANNA).challenge_id
    worker.driver.error = errors.GarminUnavailableError()
    refused = worker.resend(challenge_id)
    assert isinstance(refused, Failure)
    assert (refused.code, refused.challenge_id) == (JobErrorCode.GARMIN_UNAVAILABLE, challenge_id)
    worker.driver.error = None
    assert isinstance(worker.resend(challenge_id), CodeRequested)


def test_a_sign_in_that_is_over_ends_the_challenge(worker: Worker) -> None:
    challenge_id = worker.challenges.create(CAN, ANNA).challenge_id
    worker.driver.error = errors.SignInExpiredError()
    refused = worker.resend(challenge_id)
    assert isinstance(refused, Failure)
    assert (refused.code, refused.challenge_id) == (JobErrorCode.TIMED_OUT, None)
    worker.driver.error = None
    assert isinstance(worker.resend(challenge_id), Failure)
