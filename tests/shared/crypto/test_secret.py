"""Secrets are written out where they are sealed, and nowhere else."""

import json
import logging
import pickle
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from shared.crypto.secret import Sealable
from shared.errors import MfaCodeInvalidError
from shared.garmin.types import (
    CodeRequired,
    CodeSubmission,
    Credentials,
    GarminDomain,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.jobs.repeats import NewJob
from shared.jobs.states import CodeRequested, Failure, Success
from tests.shared.samples import (
    ACCESS_TOKEN,
    CHALLENGE_ID,
    CREDENTIALS,
    PASSWORD,
    PENDING,
    SECRETS,
    SUBMISSION,
    garmin_tokens,
)

TOKENS = garmin_tokens()
MODELS: list[Sealable] = [
    CREDENTIALS,
    SUBMISSION,
    PENDING,
    TOKENS,
    SignedIn(tokens=TOKENS),
    CodeRequired(pending=PENDING),
    Success(
        session_id="1",
        access_token=SecretStr(ACCESS_TOKEN),
        session_expires_at=TOKENS.access_expires_at,
        user_id="2",
        display_name="Anna",
    ),
    CodeRequested(
        challenge_id=SecretStr(CHALLENGE_ID),
        mfa_type="email",
        mfa_destination=None,
        expires_at=TOKENS.access_expires_at,
        attempts_left=3,
    ),
    Failure.of(MfaCodeInvalidError().with_challenge(SecretStr(CHALLENGE_ID), 2)),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


def assert_hidden(*shown: str) -> None:
    for text in shown:
        assert not [secret for secret in SECRETS if secret in text]


@each_model
def test_no_way_to_print_a_model_shows_its_secrets(model: Sealable) -> None:
    assert_hidden(repr(model), str(model), f"{model}", f"{model!r:>10}")


@each_model
def test_no_dump_shows_a_models_secrets(model: Sealable) -> None:
    assert_hidden(
        repr(model.model_dump()),
        repr(model.model_dump(mode="json")),
        model.model_dump_json(),
        model.model_dump_json(context={"reveal": False}),
        json.dumps(model.model_dump(mode="json")),
    )


@each_model
def test_a_log_line_does_not_show_a_models_secrets(
    model: Sealable, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("test").warning("model %s %r", model, model)
    assert caplog.text
    assert_hidden(caplog.text)


@each_model
def test_a_traceback_does_not_show_a_models_secrets(model: Sealable) -> None:
    def fail(held: Sealable) -> None:
        raise ZeroDivisionError(held)

    with pytest.raises(ZeroDivisionError) as caught:
        fail(model)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(report.format())
    assert "held = " in text
    assert_hidden(text)


@each_model
def test_reveal_holds_the_secrets_and_reads_back(model: Sealable) -> None:
    revealed = model.reveal()
    assert [secret for secret in SECRETS if secret.encode() in revealed]
    assert type(model).from_revealed(revealed) == model


@given(st.text(), st.text(), st.sampled_from(GarminDomain))
@settings(deadline=None)
def test_any_text_comes_back_as_it_was(username: str, password: str, domain: GarminDomain) -> None:
    credentials = Credentials(
        username=SecretStr(username), password=SecretStr(password), domain=domain
    )
    assert Credentials.from_revealed(credentials.reveal()) == credentials


@pytest.mark.parametrize("model", [Credentials, CodeSubmission, PendingSignIn, GarminTokens])
def test_what_does_not_read_back_is_not_shown(model: type[Sealable]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.from_revealed(json.dumps({"password": [PASSWORD], "state": {"x": PASSWORD}}).encode())
    assert_hidden(str(caught.value), repr(caught.value))


@each_model
def test_a_model_cannot_be_changed(model: Sealable) -> None:
    field = next(iter(type(model).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model, field, "other")


def test_a_new_jobs_poll_token_does_not_show() -> None:
    job = NewJob("1", SecretStr(ACCESS_TOKEN), 900)
    assert_hidden(repr(job), str(job))


def test_a_model_that_was_pickled_goes_on_hiding() -> None:
    again = pickle.loads(pickle.dumps(CREDENTIALS))  # noqa: S301 - our own bytes
    assert again == CREDENTIALS
    assert_hidden(repr(again), again.model_dump_json())
