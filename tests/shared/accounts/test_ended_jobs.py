"""A job that has ended, and a run that a later one has replaced, store nothing."""

import uuid

import pytest
from pydantic import SecretStr

from shared.accounts.accounts import StoredSignIn
from shared.crypto.tokens import new_token
from shared.database.job_marks import JobMarks, JobRun
from shared.database.models import GarminToken, User, UserSession
from shared.errors import InterruptedSignInError
from shared.origin import UNKNOWN
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import ANNA, garmin_tokens

FIRST, SECOND = JobRun("a job", 1), JobRun("a job", 2)


def store(repos: Repositories, run: JobRun, session_id: uuid.UUID | None = None) -> StoredSignIn:
    token = SecretStr(new_token())
    return repos.accounts.store(
        ANNA, garmin_tokens(), session_id or uuid.uuid4(), token, UNKNOWN, run=run
    )


def is_empty(repos: Repositories) -> bool:
    return repos.count(User, GarminToken, UserSession) == [0, 0, 0]


def test_an_ended_job_stores_nothing(repos: Repositories) -> None:
    repos.database.run(lambda session: JobMarks(session).end_all(["a job"]))
    with pytest.raises(InterruptedSignInError):
        store(repos, FIRST)
    assert is_empty(repos)


def test_a_run_that_a_later_one_has_replaced_stores_nothing(repos: Repositories) -> None:
    repos.database.run(lambda session: JobMarks(session).begin(SECOND))
    with pytest.raises(InterruptedSignInError):
        store(repos, FIRST)
    assert is_empty(repos)
    store(repos, SECOND)


def test_storing_ends_the_job(repos: Repositories) -> None:
    repos.database.run(lambda session: JobMarks(session).begin(FIRST))
    store(repos, FIRST)
    assert not repos.database.run(lambda session: JobMarks(session).begin(SECOND))
    with pytest.raises(InterruptedSignInError):
        store(repos, SECOND)


def test_a_later_run_finds_what_an_earlier_one_has_stored(repos: Repositories) -> None:
    """The worker died after the transaction: the next one goes on with the same session."""
    session_id = uuid.uuid4()
    assert store(repos, FIRST, session_id) == store(repos, SECOND, session_id)
