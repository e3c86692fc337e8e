"""FITTRACK_GARMIN_PROXY: each library by real CONNECT proxies, in front of the simulated Garmin."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from dev.processes import free_port
from dev.short import SHORT
from dev.simulator import PASSWORD, Simulator
from shared.errors import (
    ClientRefusedError,
    DriverFailedError,
    FitTrackError,
    GarminUnreachableError,
    ProxyRefusedError,
    RefusalScope,
)
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.redis.connection import Redis, connect
from shared.redis.left_proxies import LeftProxies
from tests.logs import captured_logs
from tests.shared.samples import nothing_listens
from tests.worker.broken_servers import PasswordProxy, Servers, answer, servers
from tests.worker.ways import ALWAYS, GARTH, MOBILE, driver
from worker.drivers.driver import GarminDriver, Permit, SignInPermit
from worker.drivers.guided import GuidedDriver
from worker.drivers.http import GarminAdapter
from worker.drivers.proxies import GarminProxies, Proxy

SECRET = "pr0xy-pass"
ANNA = "plain-anna@example.com"
CREDENTIALS = Credentials(username=SecretStr(ANNA), password=SecretStr(PASSWORD))
CLIENTS = ("GCM_ANDROID_DARK", "GCM_IOS_DARK", "widget")
both = pytest.mark.parametrize("library", [GARTH, MOBILE])


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Servers]:
    with servers(tmp_path) as running:
        yield running


@pytest.fixture
def trusted(garmin: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Trust the simulated Garmin, without the proxy by which it is reached."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, garmin.ca_file)
    return garmin


@pytest.fixture
def password_proxy(trusted: Simulator) -> PasswordProxy:
    return PasswordProxy(trusted.proxy_url, f"name:{SECRET}")


def url(port: int, credentials: str = f"name:{SECRET}") -> str:
    return f"http://{credentials}@127.0.0.1:{port}"


def guided(library: str, redis: Redis, *urls: str) -> GuidedDriver:
    named = [Proxy(f"proxy-{number}", SecretStr(url)) for number, url in enumerate(urls)]
    proxies = GarminProxies(named, LeftProxies(redis))
    adapter = GarminAdapter(replace(SHORT, garmin_connect=1.0), proxies)
    return GuidedDriver(driver(library, adapter), proxies)


@both
def test_all_that_goes_to_garmin_goes_by_the_proxy(
    library: str,
    redis: Redis,
    broken: Servers,
    password_proxy: PasswordProxy,
    trusted: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the environment names another proxy, or none at all for Garmin."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    with captured_logs() as log:
        one = guided(library, redis, url(broken.start(password_proxy.handle)))
        signed_in = one.sign_in(CREDENTIALS, ALWAYS)
        assert isinstance(signed_in, SignedIn)
        assert one.identify(signed_in.tokens, ALWAYS).guid
        one.refresh(signed_in.tokens, ALWAYS)
    assert password_proxy.tunnels >= 3
    assert trusted.count("credential_posts", ANNA) == 1
    assert SECRET not in log.getvalue()


@both
def test_without_one_the_environment_is_followed(
    library: str, redis: Redis, trusted: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in trusted.environment.items():
        monkeypatch.setenv(name, value)
    assert isinstance(guided(library, redis).sign_in(CREDENTIALS, ALWAYS), SignedIn)


@both
@pytest.mark.parametrize("problem", ["closed", "wrong password", "refuses"])
def test_the_next_proxy_is_taken_where_one_does_not_work(
    library: str, problem: str, redis: Redis, broken: Servers, password_proxy: PasswordProxy
) -> None:
    good = broken.start(password_proxy.handle)
    bad = {
        "closed": lambda: url(free_port()),
        "wrong password": lambda: url(good, "name:wrong"),
        "refuses": lambda: url(broken.start(answer("403 No"))),
    }[problem]()
    one = guided(library, redis, bad, url(good))
    assert isinstance(one.sign_in(CREDENTIALS, ALWAYS), SignedIn)
    before = password_proxy.refused
    other_process = guided(library, redis, bad, url(good))
    assert isinstance(other_process.sign_in(CREDENTIALS, ALWAYS), SignedIn)
    assert password_proxy.refused == before  # it knows from Redis


@both
def test_a_lone_proxy_that_does_not_work_is_unreachable(
    library: str, redis: Redis, trusted: Simulator
) -> None:
    """Without its OAuth consumer garth makes way for the next driver."""
    expected = DriverFailedError if library == GARTH else GarminUnreachableError
    with pytest.raises(expected):
        guided(library, redis, url(free_port())).sign_in(CREDENTIALS, ALWAYS)
    assert trusted.count("credential_posts") == 0


@pytest.fixture
def refused_address(trusted: Simulator, redis: Redis) -> Iterator[Simulator]:
    """A way to a Garmin that answers with Cloudflare's page from its first page on."""
    state = Path(trusted.ca_file).parent
    with Simulator(state_dir=state) as simulator:
        page = {"status": 403, "at": ["page"]}
        simulator.configure(refuse=dict.fromkeys(CLIENTS, page))
        yield simulator


@both
def test_the_next_proxy_is_taken_where_garmin_refuses_an_address(
    library: str,
    redis: Redis,
    broken: Servers,
    password_proxy: PasswordProxy,
    refused_address: Simulator,
) -> None:
    good = url(broken.start(password_proxy.handle))
    one = guided(library, redis, refused_address.proxy_url, good)
    assert isinstance(one.sign_in(CREDENTIALS, ALWAYS), SignedIn)
    assert refused_address.count("credential_posts") == 0
    asked = refused_address.count("requests")
    assert isinstance(one.sign_in(CREDENTIALS, ALWAYS), SignedIn)
    assert refused_address.count("requests") == asked


@dataclass
class ScriptedDriver:
    """Posts the password where it is told to, and raises the next of its errors."""

    errors: list[FitTrackError]
    posts: bool = False
    calls: int = 0
    name: str = field(default=GARTH, init=False)

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        self.calls += 1
        if self.posts:
            permit.post_password("mobile")
        raise self.errors[min(self.calls, len(self.errors)) - 1]

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        raise NotImplementedError

    def resend(self, pending: PendingSignIn, permit: Permit) -> PendingSignIn:
        raise NotImplementedError

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        raise NotImplementedError

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        raise NotImplementedError

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        raise NotImplementedError


CLIENT = ClientRefusedError(7200, scope=RefusalScope.CLIENT)


def three_proxies(redis: Redis) -> GarminProxies:
    urls = [SecretStr(f"http://127.0.0.1:{port}") for port in (1, 2, 3)]
    return GarminProxies([Proxy(f"{n}", url) for n, url in enumerate(urls)], LeftProxies(redis))


def sign_in(scripted: ScriptedDriver, proxies: GarminProxies) -> None:
    one: GarminDriver = GuidedDriver(scripted, proxies)
    one.sign_in(CREDENTIALS, ALWAYS)


def test_a_password_that_was_posted_is_not_posted_by_the_next_proxy(redis: Redis) -> None:
    scripted, proxies = ScriptedDriver([CLIENT], posts=True), three_proxies(redis)
    with pytest.raises(ProxyRefusedError):
        sign_in(scripted, proxies)
    assert scripted.calls == 1
    current = proxies.current(GARTH)
    assert current is not None
    assert current.name == "1"


def test_the_driver_is_refused_when_every_address_is(redis: Redis) -> None:
    scripted, proxies = ScriptedDriver([CLIENT]), three_proxies(redis)
    with pytest.raises(ClientRefusedError) as caught:
        sign_in(scripted, proxies)
    assert (type(caught.value), caught.value.scope) == (ClientRefusedError, RefusalScope.CLIENT)
    assert scripted.calls == 3


def test_another_driver_keeps_a_proxy_that_one_has_left(redis: Redis) -> None:
    proxies = three_proxies(redis)
    assert proxies.leave_refused(GARTH, proxies.current(GARTH), None)
    names = [one.name for one in map(proxies.current, (GARTH, MOBILE)) if one]
    assert names == ["1", "0"]


def test_a_refusal_of_an_account_is_no_reason_to_leave_a_proxy(redis: Redis) -> None:
    scripted, proxies = ScriptedDriver([ClientRefusedError()]), three_proxies(redis)
    with pytest.raises(ClientRefusedError):
        sign_in(scripted, proxies)
    assert scripted.calls == 1
    current = proxies.current(GARTH)
    assert current is not None
    assert current.name == "0"


def test_a_left_proxy_is_taken_again_after_the_time_that_garmin_named(redis: Redis) -> None:
    proxies = three_proxies(redis)
    proxies.leave_refused(GARTH, proxies.current(GARTH), 7200)
    (key,) = redis.keys("*proxy-left:garth*")
    assert 7190 < redis.ttl(key) <= 7200
    assert b"127.0.0.1" not in key


def test_without_redis_the_first_proxy_is_used() -> None:
    with connect(f"redis://{nothing_listens()}", timeout=0.2) as away:
        proxies = three_proxies(away)
        current = proxies.current(GARTH)
        assert current is not None
        assert current.name == "0"
        assert not proxies.leave_refused(GARTH, current, None)
