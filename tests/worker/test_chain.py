"""Which driver is tried when, over real Redis and fakeredis, with drivers that are told how."""

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
from worker.chain import DriverChain

HOUR = 3600
CREDENTIALS = Credentials(username=SecretStr("anna@example.com"), password=SecretStr("secret"))


@dataclass
class ToldDriver:
    """Does what it is told: an error to raise, or a code to ask for."""

    name: str
    error: FitTrackError | None = None
    asks: bool = False
    calls: list[str] = field(default_factory=list)

    def sign_in(self, credentials: Credentials) -> SignedIn | CodeRequired:
        self._called("sign_in")
        if self.asks:
            return CodeRequired(pending=pending(self.name))
        return SignedIn(tokens=tokens(self.name))

    def finish(self, pending: PendingSignIn, code: str) -> SignedIn:
        self._called("finish")
        return SignedIn(tokens=tokens(self.name))

    def identify(self, tokens: GarminTokens) -> GarminIdentity:
        self._called("identify")
        return GarminIdentity(guid=self.name, display_name=self.name)

    def refresh(self, tokens: GarminTokens) -> GarminTokens:
        self._called("refresh")
        return tokens

    def _called(self, what: str) -> None:
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
def first() -> ToldDriver:
    return ToldDriver("garth")


@pytest.fixture
def second() -> ToldDriver:
    return ToldDriver("garminconnect")


@pytest.fixture
def chain(first: ToldDriver, second: ToldDriver, cooldowns: DriverCooldowns) -> DriverChain:
    return DriverChain([first, second], cooldowns)


def signed_in_by(result: SignedIn | CodeRequired) -> str:
    return result.tokens.driver if isinstance(result, SignedIn) else result.pending.driver


def about(seconds: int, found: int | None) -> bool:
    """A little of it may already have passed."""
    return found is not None and seconds - 30 <= found <= seconds


def test_the_first_driver_is_the_one(
    chain: DriverChain, first: ToldDriver, second: ToldDriver
) -> None:
    assert signed_in_by(chain.sign_in(CREDENTIALS)) == "garth"
    assert (first.calls, second.calls) == (["sign_in"], [])


def test_the_order_is_the_operators(
    first: ToldDriver, second: ToldDriver, cooldowns: DriverCooldowns
) -> None:
    chain = DriverChain([second, first], cooldowns)
    assert signed_in_by(chain.sign_in(CREDENTIALS)) == "garminconnect"
    assert first.calls == []


def test_a_refused_client_is_followed_by_the_next_driver(
    chain: DriverChain, first: ToldDriver, second: ToldDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError(retry_after=500)
    assert signed_in_by(chain.sign_in(CREDENTIALS)) == "garminconnect"
    assert about(500, cooldowns.remaining("garth"))
    assert cooldowns.remaining("garminconnect") == 0


def test_a_refused_driver_is_not_asked_again_while_it_rests(
    chain: DriverChain, first: ToldDriver, second: ToldDriver
) -> None:
    first.error = ClientRefusedError()
    for _ in range(3):
        chain.sign_in(CREDENTIALS)
    assert first.calls == ["sign_in"]
    assert second.calls == ["sign_in"] * 3


def test_a_driver_rests_for_every_worker(
    chain: DriverChain, first: ToldDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError()
    chain.sign_in(CREDENTIALS)
    elsewhere = ToldDriver("garth")
    other = DriverChain([elsewhere, ToldDriver("garminconnect")], cooldowns)
    assert signed_in_by(other.sign_in(CREDENTIALS)) == "garminconnect"
    assert elsewhere.calls == []


def test_a_driver_that_has_rested_comes_first_again(
    chain: DriverChain, first: ToldDriver, redis: Redis
) -> None:
    first.error = ClientRefusedError()
    chain.sign_in(CREDENTIALS)
    redis.delete("fittrack:rest:garth")
    first.error = None
    assert signed_in_by(chain.sign_in(CREDENTIALS)) == "garth"


def test_a_driver_that_was_let_in_rests_shortly_the_next_time(
    chain: DriverChain, first: ToldDriver, redis: Redis, cooldowns: DriverCooldowns
) -> None:
    for error in (ClientRefusedError(), None, ClientRefusedError()):
        first.error = error
        redis.delete("fittrack:rest:garth")
        chain.sign_in(CREDENTIALS)
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
    first: ToldDriver,
    second: ToldDriver,
    verdict: FitTrackError,
    cooldowns: DriverCooldowns,
) -> None:
    first.error = verdict
    with pytest.raises(type(verdict)):
        chain.sign_in(CREDENTIALS)
    assert second.calls == []
    assert cooldowns.remaining("garth") == 0


def test_a_code_that_is_asked_for_is_an_answer(
    chain: DriverChain, first: ToldDriver, second: ToldDriver
) -> None:
    first.asks = True
    assert isinstance(chain.sign_in(CREDENTIALS), CodeRequired)
    assert second.calls == []


def test_where_every_driver_is_refused_the_shortest_rest_is_told(
    chain: DriverChain, first: ToldDriver, second: ToldDriver
) -> None:
    first.error, second.error = ClientRefusedError(700), ClientRefusedError(300)
    with pytest.raises(GarminRateLimitedError) as caught:
        chain.sign_in(CREDENTIALS)
    assert type(caught.value) is GarminRateLimitedError
    assert about(300, caught.value.retry_after)


def test_where_every_driver_rests_nobody_is_asked(
    chain: DriverChain, first: ToldDriver, second: ToldDriver, cooldowns: DriverCooldowns
) -> None:
    cooldowns.start("garth", None)
    cooldowns.start("garminconnect", 7200)
    with pytest.raises(GarminRateLimitedError) as caught:
        chain.sign_in(CREDENTIALS)
    assert about(HOUR, caught.value.retry_after)
    assert first.calls == second.calls == []


@pytest.mark.parametrize("name", ["garth", "garminconnect"])
def test_the_driver_that_began_a_sign_in_finishes_it(
    chain: DriverChain, first: ToldDriver, second: ToldDriver, name: str
) -> None:
    assert signed_in_by(chain.finish(pending(name), "123456")) == name
    assert {d.name: d.calls for d in (first, second) if d.calls} == {name: ["finish"]}


def test_a_resting_driver_still_finishes_what_it_began(
    chain: DriverChain, cooldowns: DriverCooldowns
) -> None:
    cooldowns.start("garth", None)
    assert signed_in_by(chain.finish(pending("garth"), "123456")) == "garth"


def test_a_refusal_of_a_code_is_not_passed_on_to_another_driver(
    chain: DriverChain, first: ToldDriver, second: ToldDriver, cooldowns: DriverCooldowns
) -> None:
    first.error = ClientRefusedError(retry_after=500)
    with pytest.raises(GarminRateLimitedError) as caught:
        chain.finish(pending("garth"), "123456")
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
def test_a_verdict_on_a_code_is_passed_on_as_it_is(
    chain: DriverChain, first: ToldDriver, cooldowns: DriverCooldowns, verdict: FitTrackError
) -> None:
    first.error = verdict
    with pytest.raises(type(verdict)) as caught:
        chain.finish(pending("garth"), "123456")
    assert caught.value is verdict
    assert cooldowns.remaining("garth") == 0


def test_a_driver_that_was_taken_out_finishes_nothing(
    first: ToldDriver, cooldowns: DriverCooldowns
) -> None:
    chain = DriverChain([first], cooldowns)
    with pytest.raises(InterruptedSignInError):
        chain.finish(pending("garminconnect"), "123456")
    with pytest.raises(InterruptedSignInError):
        chain.identify(tokens("garminconnect"))


def test_tokens_are_asked_about_with_their_own_driver(
    chain: DriverChain, first: ToldDriver, second: ToldDriver
) -> None:
    assert chain.identify(tokens("garminconnect")).guid == "garminconnect"
    assert (first.calls, second.calls) == ([], ["identify"])
    second.error = TokensRejectedError()
    with pytest.raises(TokensRejectedError):
        chain.identify(tokens("garminconnect"))


def test_without_redis_no_password_is_sent(first: ToldDriver) -> None:
    with connect(f"redis://{nothing_listens()}/0", timeout=5) as redis:
        chain = DriverChain([first], DriverCooldowns(redis))
        with pytest.raises(ServiceUnavailableError):
            chain.sign_in(CREDENTIALS)
    assert first.calls == []
