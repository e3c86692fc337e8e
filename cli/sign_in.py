"""A sign-in from start to end, whoever answers the questions."""

import time
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from cli.answers import CodeAsked, Ended, Failed, JobError, Submitted, Succeeded, UnderWay
from cli.codes import Code
from cli.patience import (
    LONGEST_JOB,
    Deadline,
    patiently,
    pause_after,
    read_may_be_repeated,
    submission_may_be_repeated,
)
from cli.service import LONGEST_POLL, Credentials, JobReading, Service
from cli.trouble import Refusal, Trouble

MOST_CODES = 20  # whatever the service says: a loop must end
SHORTEST_PAUSE = 0.2
PAUSE_WITHOUT_WORD = 1.0


@dataclass(frozen=True)
class Challenge:
    """A sign-in that waits for a code. `problem` says why it waits for another one."""

    id: SecretStr
    way: str | None
    destination: str | None
    attempts_left: int | None
    deadline: Deadline
    problem: Trouble | None = None


class Conversation(Protocol):
    """Who is told how it goes, and asked for the code."""

    def stage(self, stage: str) -> None: ...

    def waiting(self, trouble: Trouble, seconds: float) -> None:
        """The service could not be asked; in `seconds` it is asked again."""

    def ask_code(self, challenge: Challenge) -> SecretStr:
        """Raises `Cancelled`, `Trouble("missing_input")`, `Trouble("code_not_in_time")`."""


def sign_in(service: Service, conversation: Conversation, credentials: Credentials) -> Succeeded:
    """Raises `Trouble` with the code of whatever ended it."""
    conversation.stage("submitting")
    submitted = patiently(
        lambda: service.submit_login(credentials),
        submission_may_be_repeated,
        conversation.waiting,
    )
    ended = follow(service, conversation, submitted)
    challenge: Challenge | None = None
    for _ in range(MOST_CODES):
        if isinstance(ended, Succeeded):
            return ended
        challenge = _challenge_of(ended, challenge)
        ended = _try_code(service, conversation, challenge)
    if isinstance(ended, Succeeded):
        return ended
    raise Trouble(Code.MFA_ATTEMPTS_EXHAUSTED)


def _challenge_of(ended: CodeAsked | Failed, before: Challenge | None) -> Challenge:
    """What to ask the person now. Raises `Trouble` if no code can be tried any more."""
    if isinstance(ended, CodeAsked):
        return Challenge(
            id=ended.mfa_challenge_id,
            way=ended.mfa_type,
            destination=ended.mfa_destination,
            attempts_left=ended.attempts_left,
            deadline=Deadline.after(min(ended.expires_in, LONGEST_JOB)),
        )
    if before is None or ended.mfa_challenge_id is None or ended.attempts_left == 0:
        raise failure(ended)
    return Challenge(
        id=ended.mfa_challenge_id,
        way=before.way,
        destination=before.destination,
        attempts_left=ended.attempts_left,
        deadline=before.deadline,
        problem=failure(ended),
    )


def failure(ended: Failed) -> Trouble:
    error = ended.error
    return Trouble(error.code, detail=error.message, retry_after=error.retry_after)


def _try_code(service: Service, conversation: Conversation, challenge: Challenge) -> Ended:
    code = conversation.ask_code(challenge)
    conversation.stage("submitting")
    try:
        submitted = patiently(
            lambda: service.submit_code(challenge.id, code),
            submission_may_be_repeated,
            conversation.waiting,
        )
    except Refusal as refusal:
        if refusal.code != Code.INVALID_REQUEST:
            raise
        return _mistyped(challenge, refusal)
    return follow(service, conversation, submitted)


def _mistyped(challenge: Challenge, refusal: Refusal) -> Failed:
    """The service saw that this is no code, so none was used up: ask again."""
    return Failed(
        job_id="",
        status="failed",
        error=JobError(code=refusal.code, message=refusal.detail),
        attempts_left=challenge.attempts_left,
        mfa_challenge_id=challenge.id,
    )


def follow(service: Service, conversation: Conversation, submitted: Submitted) -> Ended:
    """Polls until the job has ended, for as long as the service keeps its result."""
    deadline = Deadline.after(min(submitted.expires_in, LONGEST_JOB))
    stage, pause = submitted.status, float(submitted.retry_after or 0)
    while not deadline.passed:
        conversation.stage(stage)
        time.sleep(min(pause, deadline.left))
        reading = _poll(service, conversation, submitted, deadline)
        if not isinstance(reading.job, UnderWay):
            return reading.job
        stage, pause = reading.job.stage or reading.job.status, _pause_asked_for(reading)
    raise Trouble(Code.NO_RESULT_IN_TIME)


def _poll(
    service: Service, conversation: Conversation, submitted: Submitted, deadline: Deadline
) -> JobReading:
    """Goes on through outages. Raises the one that outlasts the result."""
    outages = 0
    while True:
        try:
            wait = min(LONGEST_POLL, int(deadline.left))
            return service.job(submitted.status_url, submitted.poll_token, wait=wait)
        except Trouble as trouble:
            pause = _outage(trouble, outages, deadline)
            conversation.waiting(trouble, pause)
            time.sleep(pause)
            conversation.stage("submitting")
            outages += 1


def _outage(trouble: Trouble, outages: int, deadline: Deadline) -> float:
    """How long to wait it out. Raises `trouble` if that is no use."""
    pause = max(SHORTEST_PAUSE, pause_after(trouble, outages))
    if not read_may_be_repeated(trouble) or deadline.left <= pause:
        raise trouble
    return pause


def _pause_asked_for(reading: JobReading) -> float:
    if reading.retry_after is None:
        return PAUSE_WITHOUT_WORD
    return max(SHORTEST_PAUSE, float(reading.retry_after))
