"""Which driver is tried when, over real Redis and fakeredis, with scripted drivers."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis

from dev.servers import RedisServer
from shared.crypto.tokens import new_token
from shared.errors import (
    AccountLockedError,
    CaptchaRequiredError,
    ClientRefusedError,
    DriverFailedError,
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
    RefusalScope,
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
from shared.redis.password_posts import PasswordPosts
from tests.cooldowns import end_account_rests, end_rest, refuse
from tests.logs import captured_logs
from tests.shared.samples import nothing_listens
from tests.worker.ways import ALWAYS
from worker.chain import DriverChain
from worker.drivers.driver import GarminDriver, Permit, SignInPermit

HOUR = 3600
ACCOUNT, CLIENT = RefusalScope.ACCOUNT, RefusalScope.CLIENT
CREDENTIALS = Credentials(username=SecretStr("anna@example.com"), password=SecretStr("secret"))


@dataclass
class ScriptedDriver:
    """Posts the password, and raises the error it is given, asks for a code, or signs in.

    `posts`: by which ways in it posts the password.
    """

    name: str
    error: Exception | None = None
    needs_code: bool = False
    posts: tuple[str, ...] = ("mobile",)
    calls: list[str] = field(default_factory=list)

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        for way in self.posts:
            permit.post_password(way)
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


@dataclass
class Chain:
    """The chain of one worker, as jobs use it: each sign-in is a job of its own."""

    redis: Redis
    drivers: Sequence[GarminDriver]

    def __post_init__(self) -> None:
        self.chain = DriverChain(
            self.drivers, DriverCooldowns(self.redis), PasswordPosts(self.redis)
        )

    def sign_in(
        self, account: str | None = "anna", job_id: str | None = None
    ) -> SignedIn | CodeRequired:
        return self.chain.sign_in(CREDENTIALS, ALWAYS, job_id or new_token(), account)

    def driver(self, account: str | None = "anna", job_id: str | None = None) -> str:
        """Sign in; return the name of the driver that did."""
        result = self.sign_in(account, job_id)
        return result.tokens.driver if isinstance(result, SignedIn) else result.pending.driver

    def finish(self, driver: str, account: str | None = "anna") -> str:
        return self.chain.finish(pending(driver), "123456", ALWAYS, account).tokens.driver

    def limited(self, account: str | None = "anna", job_id: str | None = None) -> int:
        """Sign in, which ends as rate-limited; return after how many seconds to try again."""
        with pytest.raises(GarminRateLimitedError) as caught:
            self.sign_in(account, job_id)
        assert type(caught.value) is GarminRateLimitedError
        assert caught.value.retry_after is not None
        return caught.value.retry_after


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
def chain(first: ScriptedDriver, second: ScriptedDriver, redis: Redis) -> Chain:
    return Chain(redis, [first, second])


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    with RedisServer(tmp_path) as server:
        assert isinstance(server, RedisServer)
        yield server


def about(seconds: int, actual: int | None) -> bool:
    """Some seconds may already have passed."""
    return actual is not None and seconds - 30 <= actual <= seconds


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
    [InvalidCredentialsError(), AccountLockedError(), CaptchaRequiredError(), None],
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


def test_no_driver_is_used_while_all_rest(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    refuse(cooldowns, "garth")
    refuse(cooldowns, "garminconnect", 7200)
    assert about(HOUR, chain.limited("bob"))
    assert first.calls == second.calls == []


def test_a_driver_that_failed_is_followed_by_the_next(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error, first.posts = DriverFailedError(), ()
    assert chain.driver() == "garminconnect"
    assert cooldowns.remaining("garth", "anna") == 0
    second.error, second.posts = DriverFailedError(), ()
    with pytest.raises(GarminUnavailableError):
        chain.sign_in()
    second.error = ClientRefusedError(300)
    assert about(300, chain.limited())


def test_an_unforeseen_error_before_the_password_is_a_driver_that_failed(
    chain: Chain, first: ScriptedDriver, cooldowns: DriverCooldowns
) -> None:
    first.error, first.posts = ZeroDivisionError("ticket ST-1"), ()
    with captured_logs() as log:
        assert chain.driver() == "garminconnect"
    assert cooldowns.remaining("garth", "anna") == 0
    assert "driver garth can't sign in: " in log.getvalue()
    assert "ZeroDivisionError at" in log.getvalue()
    assert "test_chain.py" in log.getvalue()
    assert "ST-1" not in log.getvalue()


@pytest.mark.parametrize("error", [ZeroDivisionError(), DriverFailedError()])
def test_an_unforeseen_error_after_the_password_ends_the_job(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, error: Exception
) -> None:
    first.error = error
    expected = ZeroDivisionError if isinstance(error, ZeroDivisionError) else GarminUnavailableError
    with pytest.raises(expected):
        chain.sign_in()
    assert second.calls == []


def test_an_unforeseen_error_of_the_second_driver_does_not_hide_the_first_ones_refusal(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error = ClientRefusedError(500)
    second.error, second.posts = ZeroDivisionError(), ()
    assert about(500, chain.limited())


def test_a_driver_posts_the_password_once_by_each_way_in(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.posts = ("mobile", "mobile")
    with pytest.raises(PasswordSpentError):
        chain.sign_in()
    assert second.calls == []


def test_a_password_is_posted_twice_by_a_driver_and_three_times_in_all(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    first.error, second.error = ClientRefusedError(500), ClientRefusedError(500)
    second.posts = ("mobile", "widget")
    chain.limited("anna")
    for driver, posts in ((first, ("mobile", "widget")), (second, ("a", "b", "c"))):
        driver.posts = posts
        with pytest.raises(PasswordSpentError):
            chain.sign_in("bob" if driver is first else "carl")
        driver.posts = ("mobile",)


def test_a_job_that_is_run_again_does_not_post_as_if_it_were_new(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver
) -> None:
    """Its first worker died, after it had posted the password and before Garmin's verdict."""
    for _ in range(2):
        first.error = JobLostError()
        with pytest.raises(JobLostError):
            chain.sign_in(job_id="job")
    with pytest.raises(PasswordSpentError):
        chain.sign_in(job_id="job")
    assert first.calls == ["sign_in"] * 2
    first.error = None
    assert chain.driver(job_id="another") == "garth"


@pytest.mark.parametrize("name", ["garth", "garminconnect"])
def test_the_driver_that_began_a_sign_in_finishes_it(
    chain: Chain, first: ScriptedDriver, second: ScriptedDriver, name: str
) -> None:
    assert chain.finish(name) == name
    assert {d.name: d.calls for d in (first, second) if d.calls} == {name: ["finish"]}


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


def test_without_redis_no_password_is_sent(first: ScriptedDriver) -> None:
    url = f"redis://{nothing_listens()}/0"
    with connect(url, timeout=5) as redis, pytest.raises(ServiceUnavailableError):
        Chain(redis, [first]).sign_in()
    assert first.calls == []


@pytest.mark.parametrize("error", [None, InvalidCredentialsError(), ClientRefusedError(500)])
def test_what_garmin_said_is_not_lost_when_redis_stops_answering(
    first: ScriptedDriver, second: ScriptedDriver, own_redis: RedisServer, error: Exception | None
) -> None:
    class Last(ScriptedDriver):
        def _record(self, what: str) -> None:
            own_redis.stop()
            super()._record(what)

    with connect(own_redis.url, timeout=5) as redis:
        chain = Chain(redis, [Last("garth", error), second])
        if error is None:
            assert chain.driver() == "garth"
        elif isinstance(error, ClientRefusedError):
            assert about(500, chain.limited())
        else:
            with pytest.raises(type(error)):
                chain.sign_in()
    assert second.calls == []
