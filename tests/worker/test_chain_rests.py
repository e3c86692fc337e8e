"""Who waits when Garmin refuses a driver, and who probes it afterwards."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress

import pytest

from shared.errors import (
    AccountLockedError,
    CaptchaRequiredError,
    ClientRefusedError,
    CodeLimitReachedError,
    DriverFailedError,
    GarminActionRequiredError,
    GarminRateLimitedError,
    GarminUnavailableError,
    InvalidCredentialsError,
    JobLostError,
    RefusalScope,
    TimedOutError,
)
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.cooldowns import end_account_rests, end_rest, refuse
from tests.worker.scripted import HOUR, Chain, ScriptedDriver, about

ACCOUNT, CLIENT = RefusalScope.ACCOUNT, RefusalScope.CLIENT


def test_a_refused_account_leaves_the_driver_to_others(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error = ClientRefusedError()
    assert chain.driver("anna") == chain.driver("anna") == "garminconnect"
    assert first.calls == ["sign_in"]
    first.error = None
    assert chain.driver("bob") == chain.driver("carl") == "garth"
    assert chain.driver("anna") == "garminconnect"


def test_one_refused_account_never_closes_the_service(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, redis: Redis
) -> None:
    for _ in range(6):
        first.error = second.error = ClientRefusedError()
        chain.limited("anna")
        for driver in ("garth", "garminconnect"):
            end_account_rests(redis, driver)
        first.error = second.error = None
        assert chain.driver("bob") == "garth"


def test_a_driver_that_garmin_refuses_as_a_client_rests_for_everybody(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, redis: Redis
) -> None:
    first.error = ClientRefusedError(scope=CLIENT)
    for account in ("anna", "bob", None):
        assert chain.driver(account) == "garminconnect"
    assert first.calls == ["sign_in"]
    elsewhere = ScriptedDriver("garth")
    assert Chain(redis, [elsewhere, second]).driver("carl") == "garminconnect"
    assert elsewhere.calls == []


def test_three_refused_accounts_rest_a_driver_for_everybody(
    chain: Chain, first: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError()
    for account in ("anna", "bob", "carl"):
        assert cooldowns.remaining("garth") == 0
        assert chain.driver(account) == "garminconnect"
    assert about(HOUR, cooldowns.remaining("garth"))
    first.error = None
    assert chain.driver("dora") == "garminconnect"


@pytest.mark.parametrize(
    "verdict",
    [
        InvalidCredentialsError(),
        AccountLockedError(),
        CaptchaRequiredError(),
        CodeLimitReachedError(),
        GarminActionRequiredError(),
        None,
    ],
    ids=lambda verdict: type(verdict).__name__,
)
def test_whoever_is_let_in_between_keeps_the_driver_open(
    chain: Chain, first: ScriptedDriver, cooldowns: DriverCooldowns, verdict: Exception | None
) -> None:
    for account in ("anna", "bob", "carl", "dora"):
        first.error = ClientRefusedError()
        chain.driver(account)
        first.error = verdict
        with pytest.raises(type(verdict)) if verdict else nullcontext():
            chain.sign_in(f"{account}'s friend")
    assert cooldowns.remaining("garth") == 0


def test_a_driver_comes_first_again_after_a_probe(
    chain: Chain, first: ScriptedDriver, redis: Redis
) -> None:
    first.error = ClientRefusedError(scope=CLIENT)
    chain.driver("anna")
    first.error = None
    end_rest(redis)
    assert [chain.driver("bob"), chain.driver("anna"), chain.driver("carl")] == ["garth"] * 3


def test_one_sign_in_probes_while_the_others_use_the_next_driver(
    chain: Chain, first: ScriptedDriver, redis: Redis
) -> None:
    first.error = ClientRefusedError(scope=CLIENT)
    chain.driver("anna")
    end_rest(redis)
    first.error, first.calls = None, []
    probing, seen = threading.Event(), threading.Event()

    class Slow(ScriptedDriver):
        def _record(self, what: str) -> None:
            probing.set()
            assert seen.wait(30)
            super()._record(what)

    slow = Slow("garth")
    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(Chain(redis, [slow]).driver, "bob")
        assert probing.wait(30)
        assert chain.driver("carl") == "garminconnect"
        assert Chain(redis, [first]).limited("dora") <= 10
        seen.set()
        assert probe.result(30) == "garth"
    assert first.calls == []
    assert chain.driver("carl") == "garth"


@pytest.mark.parametrize(
    "error",
    [GarminUnavailableError(), TimedOutError(), JobLostError(), DriverFailedError(), KeyError("x")],
    ids=lambda error: type(error).__name__,
)
def test_a_probe_that_fails_otherwise_is_left_to_the_next_sign_in(
    chain: Chain, first: ScriptedDriver, redis: Redis, error: Exception
) -> None:
    first.error = ClientRefusedError(scope=CLIENT)
    chain.driver("anna")
    end_rest(redis)
    first.error = error
    with suppress(type(error), GarminUnavailableError):
        chain.sign_in("bob")
    first.error = None
    assert chain.driver("carl") == "garth"


def test_no_driver_is_used_while_all_rest(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    refuse(cooldowns, "garth")
    refuse(cooldowns, "garminconnect", 7200)
    assert about(HOUR, chain.limited("bob"))
    assert first.calls == second.calls == []


def test_a_driver_finishes_what_it_began_while_it_rests(
    chain: Chain, cooldowns: DriverCooldowns
) -> None:
    refuse(cooldowns, "garth")
    assert chain.finish("garth") == "garth"
    assert cooldowns.remaining("garth") > 0


@pytest.mark.parametrize("scope", RefusalScope)
def test_a_refused_code_check_is_not_sent_to_another_driver(
    chain: Chain,
    first: ScriptedDriver,
    second: ScriptedDriver,
    cooldowns: DriverCooldowns,
    scope: RefusalScope,
) -> None:
    first.error = ClientRefusedError(500, scope=scope)
    with pytest.raises(GarminRateLimitedError) as caught:
        chain.finish("garth")
    assert type(caught.value) is GarminRateLimitedError
    assert caught.value.__suppress_context__
    assert about(500, caught.value.retry_after)
    assert about(500, cooldowns.remaining("garth", "anna"))
    assert (cooldowns.remaining("garth") > 0) is (scope is CLIENT)
    assert second.calls == []


def test_refused_codes_of_many_people_stop_nobody_else(
    chain: Chain, first: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError()
    for number in range(5):
        with pytest.raises(GarminRateLimitedError):
            chain.finish("garth", f"a{number}")
    assert cooldowns.remaining("garth") == 0
