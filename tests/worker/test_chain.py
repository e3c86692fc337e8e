"""Which driver is tried when, over real Redis and fakeredis, with scripted drivers."""

import pytest

from shared.errors import (
    AccountLockedError,
    CaptchaRequiredError,
    ClientRefusedError,
    FitTrackError,
    GarminActionRequiredError,
    GarminRateLimitedError,
    GarminUnavailableError,
    GarminUnreachableError,
    InterruptedSignInError,
    InvalidCredentialsError,
    JobLostError,
    MfaAttemptsExhaustedError,
    MfaCodeInvalidError,
    PasswordSpentError,
    ProxyRefusedError,
    RefusalScope,
    SignInExpiredError,
    TimedOutError,
    TokensRejectedError,
)
from shared.garmin.types import (
    CodeRequired,
)
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.worker.scripted import Chain, ScriptedDriver, about, tokens
from tests.worker.ways import ALWAYS

ACCOUNT, CLIENT = RefusalScope.ACCOUNT, RefusalScope.CLIENT


def test_the_first_driver_signs_in(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    assert chain.driver() == "garth"
    assert (first.calls, second.calls) == (["sign_in"], [])


def test_the_operator_sets_the_order(
    first: ScriptedDriver, second: ScriptedDriver, redis: Redis
) -> None:
    assert Chain(redis, [second, first]).driver() == "garminconnect"
    assert first.calls == []


@pytest.mark.parametrize("scope", RefusalScope)
def test_a_refused_client_is_followed_by_the_next_driver(
    chain: Chain, first: ScriptedDriver, cooldowns: DriverCooldowns, scope: RefusalScope
) -> None:
    first.error = ClientRefusedError(500, scope=scope)
    assert chain.driver() == "garminconnect"
    assert about(500, cooldowns.remaining("garth", "anna"))
    assert cooldowns.remaining("garminconnect", "anna") == 0


def test_a_refused_proxy_makes_nobody_wait(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = second.error = ProxyRefusedError(1)
    assert chain.limited() == 1
    assert (first.calls, second.calls) == (["sign_in"], ["sign_in"])
    assert cooldowns.remaining("garth", "anna") == cooldowns.remaining("garth") == 0
    first.error = None
    assert chain.driver() == "garth"


@pytest.mark.parametrize(
    "verdict",
    [
        InvalidCredentialsError(),
        AccountLockedError(),
        CaptchaRequiredError(),
        GarminActionRequiredError(),
        GarminUnavailableError(),
        GarminUnreachableError(),
        GarminRateLimitedError(60),
        PasswordSpentError(),
        TimedOutError(),
        JobLostError(),
    ],
    ids=lambda verdict: type(verdict).__name__,
)
def test_a_password_is_not_tried_twice(
    chain: Chain,
    first: ScriptedDriver,
    second: ScriptedDriver,
    verdict: FitTrackError,
    cooldowns: DriverCooldowns,
) -> None:
    first.error = verdict
    with pytest.raises(type(verdict)):
        chain.sign_in()
    assert second.calls == []
    assert cooldowns.remaining("garth", "anna") == 0


def test_a_final_refusal_is_not_followed_by_the_next_driver(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError(700, final=True)
    assert about(700, chain.limited("anna"))
    assert second.calls == []
    assert about(700, cooldowns.remaining("garth", "anna"))
    assert cooldowns.remaining("garth", "bob") == 0


def test_a_final_refusal_before_the_password_was_sent_is_followed_by_the_next_driver(
    chain: Chain, first: ScriptedDriver
) -> None:
    first.error, first.posts = ClientRefusedError(final=True), ()
    assert chain.driver() == "garminconnect"


def test_a_required_code_ends_the_chain(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.needs_code = True
    assert isinstance(chain.sign_in(), CodeRequired)
    assert second.calls == []


def test_the_shortest_wait_is_reported_when_every_driver_is_refused(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error, second.error = ClientRefusedError(700), ClientRefusedError(300)
    assert about(300, chain.limited())


@pytest.mark.parametrize("name", ["garth", "garminconnect"])
def test_the_driver_that_began_a_sign_in_finishes_it(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, name: str
) -> None:
    assert chain.finish(name) == name
    assert {d.name: d.calls for d in (first, second) if d.calls} == {name: ["finish"]}


@pytest.mark.parametrize(
    "verdict",
    [
        MfaCodeInvalidError("state"),
        MfaAttemptsExhaustedError(),
        AccountLockedError(),
        SignInExpiredError(),
        GarminUnavailableError(),
    ],
    ids=lambda verdict: type(verdict).__name__,
)
def test_a_verdict_on_a_code_is_raised_unchanged(
    chain: Chain, first: ScriptedDriver, cooldowns: DriverCooldowns, verdict: FitTrackError
) -> None:
    first.error = verdict
    with pytest.raises(type(verdict)) as caught:
        chain.finish("garth")
    assert caught.value is verdict
    assert cooldowns.remaining("garth", "anna") == 0


def test_a_removed_driver_finishes_nothing(first: ScriptedDriver, redis: Redis) -> None:
    chain = Chain(redis, [first])
    with pytest.raises(InterruptedSignInError):
        chain.finish("garminconnect")
    with pytest.raises(InterruptedSignInError):
        chain.chain.identify(tokens("garminconnect"), ALWAYS)


def test_tokens_are_identified_by_their_own_driver(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    assert chain.chain.identify(tokens("garminconnect"), ALWAYS).guid == "garminconnect"
    assert (first.calls, second.calls) == ([], ["identify"])
    second.error = TokensRejectedError()
    with pytest.raises(TokensRejectedError):
        chain.chain.identify(tokens("garminconnect"), ALWAYS)
