"""Which driver is tried when, over real Redis and fakeredis, with scripted drivers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from redis import Redis

from shared.errors import (
    AccountLockedError,
    CaptchaRequiredError,
    ClientRefusedError,
    FitTrackError,
    GarminRateLimitedError,
    GarminUnavailableError,
    InterruptedSignInError,
    InvalidCredentialsError,
    JobLostError,
    MfaAttemptsExhaustedError,
    MfaCodeInvalidError,
    ServiceUnavailableError,
    SignInExpiredError,
    TimedOutError,
    TokensRejectedError,
)
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminDomain,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.redis.connection import connect
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.shared.samples import nothing_listens
from tests.worker.ways import ALWAYS
from worker.chain import DriverChain
from worker.drivers.driver import Permit

HOUR = 3600
CREDENTIALS = Credentials(username=SecretStr("anna@example.com"), password=SecretStr("secret"))


@dataclass
class ScriptedDriver:
    """Raises the error it is given, asks for a code, or signs in."""

    name: str
    error: FitTrackError | None = None
    needs_code: bool = False
    calls: list[str] = field(default_factory=list)

    def sign_in(self, credentials: Credentials, permit: Permit) -> SignedIn | CodeRequired:
        self._record("sign_in")
        if self.needs_code:
            return CodeRequired(pending=pending(self.name))
        return SignedIn(tokens=tokens(self.name))

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        self._record("finish")
        return SignedIn(tokens=tokens(self.name))

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        self._record("identify")
        return GarminIdentity(guid=self.name, display_name=self.name)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        return None

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        self._record("refresh")
        return tokens

    def _record(self, what: str) -> None:
        self.calls.append(what)
        if self.error is not None:
            raise self.error


def pending(driver: str) -> PendingSignIn:
    return PendingSignIn(
        driver=driver,
        domain=GarminDomain.COM,
        mfa_type="email",
        mfa_destination=None,
        state=SecretStr("{}"),
    )


def tokens(driver: str) -> GarminTokens:
    later = datetime.now(UTC) + timedelta(days=1)
    return GarminTokens(
        driver=driver,
        domain=GarminDomain.COM,
        data=SecretStr("{}"),
        access_expires_at=later,
        refresh_expires_at=later,
    )


@pytest.fixture
def cooldowns(redis: Redis) -> DriverCooldowns:
    return DriverCooldowns(redis)


@pytest.fixture
def first() -> ScriptedDriver:
    return ScriptedDriver("garth")


@pytest.fixture
def second() -> ScriptedDriver:
    return ScriptedDriver("garminconnect")


@pytest.fixture
def chain(first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns) -> DriverChain:
    return DriverChain([first, second], cooldowns)


def signed_in_by(result: SignedIn | CodeRequired) -> str:
    return result.tokens.driver if isinstance(result, SignedIn) else result.pending.driver


def about(seconds: int, actual: int | None) -> bool:
    """Some seconds may already have passed."""
    return actual is not None and seconds - 30 <= actual <= seconds


def test_the_first_driver_signs_in(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    assert signed_in_by(chain.sign_in(CREDENTIALS, ALWAYS)) == "garth"
    assert (first.calls, second.calls) == (["sign_in"], [])


def test_the_operator_sets_the_order(
    first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    chain = DriverChain([second, first], cooldowns)
    assert signed_in_by(chain.sign_in(CREDENTIALS, ALWAYS)) == "garminconnect"
    assert first.calls == []


def test_a_refused_client_is_followed_by_the_next_driver(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError(retry_after=500)
    assert signed_in_by(chain.sign_in(CREDENTIALS, ALWAYS)) == "garminconnect"
    assert about(500, cooldowns.remaining("garth"))
    assert cooldowns.remaining("garminconnect") == 0


def test_a_refused_driver_is_not_used_during_its_cooldown(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error = ClientRefusedError()
    for _ in range(3):
        chain.sign_in(CREDENTIALS, ALWAYS)
    assert first.calls == ["sign_in"]
    assert second.calls == ["sign_in"] * 3


def test_a_cooldown_holds_for_every_worker(
    chain: DriverChain, first: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError()
    chain.sign_in(CREDENTIALS, ALWAYS)
    elsewhere = ScriptedDriver("garth")
    other = DriverChain([elsewhere, ScriptedDriver("garminconnect")], cooldowns)
    assert signed_in_by(other.sign_in(CREDENTIALS, ALWAYS)) == "garminconnect"
    assert elsewhere.calls == []


def test_a_driver_comes_first_again_after_its_cooldown(
    chain: DriverChain, first: ScriptedDriver, redis: Redis
) -> None:
    first.error = ClientRefusedError()
    chain.sign_in(CREDENTIALS, ALWAYS)
    redis.delete("fittrack:rest:garth")
    first.error = None
    assert signed_in_by(chain.sign_in(CREDENTIALS, ALWAYS)) == "garth"


def test_a_success_makes_the_next_cooldown_short_again(
    chain: DriverChain, first: ScriptedDriver, redis: Redis, cooldowns: DriverCooldowns
) -> None:
    for error in (ClientRefusedError(), None, ClientRefusedError()):
        first.error = error
        redis.delete("fittrack:rest:garth")
        chain.sign_in(CREDENTIALS, ALWAYS)
    assert about(HOUR, cooldowns.remaining("garth"))


@pytest.mark.parametrize(
    "verdict",
    [
        InvalidCredentialsError(),
        AccountLockedError(),
        CaptchaRequiredError(),
        GarminUnavailableError(),
        GarminRateLimitedError(60),
        TimedOutError(),
        JobLostError(),
    ],
    ids=lambda verdict: type(verdict).__name__,
)
def test_a_password_is_not_tried_twice(
    chain: DriverChain,
    first: ScriptedDriver,
    second: ScriptedDriver,
    verdict: FitTrackError,
    cooldowns: DriverCooldowns,
) -> None:
    first.error = verdict
    with pytest.raises(type(verdict)):
        chain.sign_in(CREDENTIALS, ALWAYS)
    assert second.calls == []
    assert cooldowns.remaining("garth") == 0


def test_a_required_code_ends_the_chain(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.needs_code = True
    assert isinstance(chain.sign_in(CREDENTIALS, ALWAYS), CodeRequired)
    assert second.calls == []


def test_the_shortest_cooldown_is_reported_when_every_driver_is_refused(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error, second.error = ClientRefusedError(700), ClientRefusedError(300)
    with pytest.raises(GarminRateLimitedError) as caught:
        chain.sign_in(CREDENTIALS, ALWAYS)
    assert type(caught.value) is GarminRateLimitedError
    assert about(300, caught.value.retry_after)


def test_no_driver_is_used_while_all_cool_down(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    cooldowns.start("garth", None)
    cooldowns.start("garminconnect", 7200)
    with pytest.raises(GarminRateLimitedError) as caught:
        chain.sign_in(CREDENTIALS, ALWAYS)
    assert about(HOUR, caught.value.retry_after)
    assert first.calls == second.calls == []


@pytest.mark.parametrize("name", ["garth", "garminconnect"])
def test_the_driver_that_began_a_sign_in_finishes_it(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver, name: str
) -> None:
    assert signed_in_by(chain.finish(pending(name), "123456", ALWAYS)) == name
    assert {d.name: d.calls for d in (first, second) if d.calls} == {name: ["finish"]}


def test_a_driver_finishes_what_it_began_during_its_cooldown(
    chain: DriverChain, cooldowns: DriverCooldowns
) -> None:
    cooldowns.start("garth", None)
    assert signed_in_by(chain.finish(pending("garth"), "123456", ALWAYS)) == "garth"


def test_a_refused_code_check_is_not_sent_to_another_driver(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError(retry_after=500)
    with pytest.raises(GarminRateLimitedError) as caught:
        chain.finish(pending("garth"), "123456", ALWAYS)
    assert type(caught.value) is GarminRateLimitedError
    assert caught.value.__suppress_context__
    assert about(500, caught.value.retry_after)
    assert about(500, cooldowns.remaining("garth"))
    assert second.calls == []


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
    chain: DriverChain, first: ScriptedDriver, cooldowns: DriverCooldowns, verdict: FitTrackError
) -> None:
    first.error = verdict
    with pytest.raises(type(verdict)) as caught:
        chain.finish(pending("garth"), "123456", ALWAYS)
    assert caught.value is verdict
    assert cooldowns.remaining("garth") == 0


def test_a_removed_driver_finishes_nothing(
    first: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    chain = DriverChain([first], cooldowns)
    with pytest.raises(InterruptedSignInError):
        chain.finish(pending("garminconnect"), "123456", ALWAYS)
    with pytest.raises(InterruptedSignInError):
        chain.identify(tokens("garminconnect"), ALWAYS)


def test_tokens_are_identified_by_their_own_driver(
    chain: DriverChain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    assert chain.identify(tokens("garminconnect"), ALWAYS).guid == "garminconnect"
    assert (first.calls, second.calls) == ([], ["identify"])
    second.error = TokensRejectedError()
    with pytest.raises(TokensRejectedError):
        chain.identify(tokens("garminconnect"), ALWAYS)


def test_without_redis_no_password_is_sent(first: ScriptedDriver) -> None:
    with connect(f"redis://{nothing_listens()}/0", timeout=5) as redis:
        chain = DriverChain([first], DriverCooldowns(redis))
        with pytest.raises(ServiceUnavailableError):
            chain.sign_in(CREDENTIALS, ALWAYS)
    assert first.calls == []
