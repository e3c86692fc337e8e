"""A Garmin that fails in every way, over a running stack for each Garmin library.

What the polling client sees, and how often Garmin saw the password and the code. Each test runs
for both libraries at once, and what hangs is waited for together.
"""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from dev.servers import RedisServer
from dev.simulator import Simulator
from dev.stack import Stack
from tests.databases import PostgresDatabases
from tests.end_to_end.client import Client, Json
from tests.end_to_end.conftest import empty_redis, stack_settings
from tests.end_to_end.database import rows
from tests.programs import PROGRAMS

DRIVERS = ("garth", "garminconnect")
LOGIN = "/mobile/api/login"
WIDGET = "/sso/signin"
VERIFY = "/mobile/api/mfa/verifyCode"
OTHER_VERIFY = "/portal/api/mfa/verifyCode"
TICKET = "/oauth-service/oauth/preauthorized"
EXCHANGE = "/oauth-service/oauth/exchange/user/2.0"
DI_TOKEN = "/di-oauth2-service/oauth/token"
PROFILE = "/userprofile-service/socialProfile"
pytestmark = pytest.mark.long

UNAVAILABLE = {"garmin_unavailable"}
REFUSED = {"garmin_rate_limited"}
UNREACHABLE = {"garmin_unreachable"}
NOT_ANSWERED = {"garmin_unavailable", "garmin_unreachable", "timed_out"}

Fault = dict[str, Any]


@dataclass
class Service:
    """A stack that signs in with one Garmin library."""

    driver: str
    stack: Stack
    client: Client

    def name(self, kind: str) -> str:
        return f"{kind}-{self.driver}@example.com"

    @property
    def stored(self) -> int:
        return rows(self.stack.settings["FITTRACK_DATABASE_URL"])["garmin_tokens"]


@pytest.fixture(scope="module")
def running_services(
    postgres_databases: PostgresDatabases, running_simulator: Simulator, server_folder: Path
) -> Iterator[list[Service]]:
    with ExitStack() as exit:
        services = []
        for driver in DRIVERS:
            folder = Path(tempfile.mkdtemp(dir=server_folder))
            redis = exit.enter_context(RedisServer(folder))
            assert isinstance(redis, RedisServer)
            database_url = exit.enter_context(postgres_databases.migrated())
            settings = stack_settings(redis.url, database_url)
            settings |= {"FITTRACK_GARMIN_DRIVERS": driver}
            stack = Stack(
                folder, settings, running_simulator.environment, programs=PROGRAMS, migrated=True
            )
            exit.enter_context(stack).start()
            client = Client(stack.url)
            exit.callback(client.close)
            services.append(Service(driver, stack, client))
        yield services


@pytest.fixture
def services(running_services: list[Service], garmin: Simulator) -> list[Service]:
    """One for each library, running, with nothing stored and no driver resting."""
    assert garmin.counters()["total"]["credential_posts"] == 0
    for service in running_services:
        empty_redis(service.stack)
        engine = create_engine(service.stack.settings["FITTRACK_DATABASE_URL"])
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM users"))
        engine.dispose()
    return running_services


def at_each[T](services: list[Service], work: Callable[[Service], T]) -> list[T]:
    """Does something at all services at once."""
    with ThreadPoolExecutor(len(services)) as pool:
        return list(pool.map(work, services))


def told(ended: Json, codes: set[str]) -> None:
    assert ended["status"] == "failed", ended
    assert ended["error"]["code"] in codes, ended
    assert ended["error"]["message"]


def fault(kind: str, *paths: str, **more: object) -> list[Fault]:
    """The same fault for each path; for every path if none is named."""
    return [{"kind": kind, "path": path, **more} for path in paths or ("*",)]


def no_faults(garmin: Simulator) -> None:
    garmin.configure(faults=())


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["cut", "status", "garbage"])
def test_a_password_is_not_sent_again_after_an_unusable_answer(
    services: list[Service], garmin: Simulator, kind: str, when: str
) -> None:
    garmin.configure(faults=fault(kind, LOGIN, WIDGET, when=when))

    def sign_in(service: Service) -> None:
        told(service.client.login(service.name("plain")), UNAVAILABLE)
        seen = garmin.count("credential_posts", service.name("plain"))
        assert seen == int(when == "after")

    at_each(services, sign_in)
    assert garmin.count("faults") == len(services)


def test_an_html_page_instead_of_a_verdict_is_a_refusal(
    services: list[Service], garmin: Simulator
) -> None:
    garmin.configure(faults=fault("html", LOGIN, WIDGET))

    def sign_in(service: Service) -> None:
        refused = service.client.login(service.name("plain"))
        told(refused, REFUSED)
        assert refused["error"]["retry_after"] > 0

    at_each(services, sign_in)
    assert garmin.count("credential_posts") == 0


@pytest.mark.parametrize("kind", ["cut_connect", "cut", "status", "garbage", "html"])
def test_no_password_is_sent_while_every_request_to_garmin_fails(
    services: list[Service], garmin: Simulator, kind: str
) -> None:
    # Connections that were kept open are cut in any case: `cut_connect` concerns only new ones.
    garmin.configure(faults=fault(kind) + fault("cut"))
    for ended in at_each(services, lambda s: s.client.login(s.name("plain"))):
        told(ended, UNAVAILABLE | UNREACHABLE | REFUSED)
    assert garmin.count("credential_posts") == 0


@pytest.mark.parametrize("kind", ["cut", "status", "garbage", "html"])
def test_a_code_that_garmin_never_saw_can_be_sent_again(
    services: list[Service], garmin: Simulator, kind: str
) -> None:
    asked = at_each(services, lambda s: s.client.login(s.name("email")))
    garmin.configure(faults=fault(kind, VERIFY, OTHER_VERIFY))
    codes = {s.driver: garmin.code(s.name("email")) for s in services}
    failures = [
        service.client.send_code(challenge, codes[service.driver])
        for service, challenge in zip(services, asked, strict=True)
    ]
    for failed, challenge in zip(failures, asked, strict=True):
        told(failed, REFUSED if kind == "html" else UNAVAILABLE)
        assert failed["mfa_challenge_id"] == challenge["mfa_challenge_id"]
        assert failed["attempts_left"] == challenge["attempts_left"] == 3
    assert garmin.count("codes_checked") == 0
    no_faults(garmin)

    for service, challenge in zip(services, asked, strict=True):
        signed_in = service.client.send_code(challenge, codes[service.driver])
        assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("credential_posts") == garmin.count("codes_sent") == len(services)


@pytest.mark.parametrize("kind", ["cut", "cut_body", "status", "garbage"])
def test_a_correct_code_is_not_called_wrong_when_its_answer_is_lost(
    services: list[Service], garmin: Simulator, kind: str
) -> None:
    asked = at_each(services, lambda s: s.client.login(s.name("email")))
    garmin.configure(faults=fault(kind, VERIFY, when="after"))
    for service, challenge in zip(services, asked, strict=True):
        code = garmin.code(service.name("email"))
        failed = service.client.send_code(challenge, code)
        told(failed, UNAVAILABLE)
        assert failed["attempts_left"] == 3
        assert garmin.count("codes_checked", service.name("email")) == 1


@pytest.mark.parametrize(
    "faults",
    [
        fault("cut", TICKET, DI_TOKEN, when="after"),
        fault("cut_body", EXCHANGE, DI_TOKEN),
        fault("status", EXCHANGE, DI_TOKEN),
        fault("html", EXCHANGE, DI_TOKEN),
        fault("garbage", EXCHANGE, DI_TOKEN),
        fault("without_field", EXCHANGE, DI_TOKEN, field="access_token"),
        fault("without_field", EXCHANGE, DI_TOKEN, field="refresh_token"),
        fault("without_field", TICKET, field="oauth_token") + fault("garbage", DI_TOKEN),
    ],
    ids=lambda faults: "-".join(str(faults[0].get(k, "")) for k in ("kind", "field")),
)
def test_incomplete_tokens_are_not_stored(
    services: list[Service], garmin: Simulator, faults: list[Fault]
) -> None:
    garmin.configure(faults=faults)

    def sign_in(service: Service) -> None:
        told(service.client.login(service.name("plain")), UNAVAILABLE)
        assert garmin.count("credential_posts", service.name("plain")) == 1
        assert service.stored == 0

    at_each(services, sign_in)


@pytest.mark.parametrize("kind", ["cut", "cut_body", "status", "html", "garbage", "without_field"])
def test_a_profile_that_fails_at_first_costs_no_second_password(
    services: list[Service], garmin: Simulator, kind: str
) -> None:
    garmin.configure(faults=fault(kind, PROFILE, field="garminGUID", times=3))

    def sign_in(service: Service) -> None:
        signed_in = service.client.login(service.name("plain"))
        assert signed_in["status"] == "succeeded", signed_in
        assert garmin.count("credential_posts", service.name("plain")) == 1

    at_each(services, sign_in)
    assert garmin.count("faults") == 3


@pytest.mark.parametrize("kind", ["hang", "hang_body", "drip"])
def test_a_request_that_hangs_ends_in_time_and_is_sent_once(
    services: list[Service], garmin: Simulator, kind: str
) -> None:
    """In one world at the password and at the code, in the other at the tokens."""
    asked = at_each(services, lambda s: s.client.login(s.name("email")))
    codes = {s.driver: garmin.code(s.name("email")) for s in services}
    com, cn = {"host": "*.garmin.com"}, {"host": "*.garmin.cn"}
    stuck = fault(kind, LOGIN, WIDGET, VERIFY, **com) + fault(kind, EXCHANGE, DI_TOKEN, **cn)
    garmin.configure(faults=stuck, drip_interval_ms=1000)

    jobs = [
        (service, stage, job)
        for service, challenge in zip(services, asked, strict=True)
        for stage, job in (
            ("login", service.client.submit_login(service.name("plain"))),
            ("tokens", service.client.submit_login(service.name("app-cn"), domain="garmin.cn")),
            ("tokens", service.client.submit_login(service.name("plain-cn"), domain="garmin.cn")),
            ("code", service.client.submit_code(*answer(challenge, codes[service.driver]))),
        )
    ]
    with ThreadPoolExecutor(len(jobs)) as pool:
        ended = list(pool.map(lambda entry: entry[0].client.wait(entry[2]), jobs))

    for (_, stage, _), outcome in zip(jobs, ended, strict=True):
        if outcome["status"] == "mfa_required":
            assert stage == "tokens"
            continue
        told(outcome, NOT_ANSWERED)
        if stage == "code":
            assert outcome["attempts_left"] == 3
    for service in services:
        assert service.stored == 0
        for kind_of_person in ("plain", "plain-cn", "app-cn", "email"):
            assert garmin.count("credential_posts", service.name(kind_of_person)) <= 1
        assert garmin.count("codes_checked", service.name("email")) == int(kind != "hang")
    if kind == "hang":  # Garmin never saw the codes: they are as good as new
        no_faults(garmin)
        for service, challenge in zip(services, asked, strict=True):
            signed_in = service.client.send_code(challenge, codes[service.driver])
            assert signed_in["status"] == "succeeded", signed_in


def answer(challenge: Json, code: str) -> tuple[str, str]:
    return challenge["mfa_challenge_id"], code


def test_a_connection_that_hangs_ends_in_time_and_no_password_is_sent(
    services: list[Service], garmin: Simulator
) -> None:
    asked = at_each(services, lambda s: s.client.login(s.name("email")))
    codes = {s.driver: garmin.code(s.name("email")) for s in services}
    # And on a connection that was kept open, the request.
    garmin.configure(faults=fault("hang_connect", host="sso.*") + fault("hang", host="sso.*"))
    logins = [(s, s.client.submit_login(s.name("plain"))) for s in services]
    checks = [
        (s, s.client.submit_code(*answer(challenge, codes[s.driver])))
        for s, challenge in zip(services, asked, strict=True)
    ]
    for service, job in (*logins, *checks):
        told(service.client.wait(job), NOT_ANSWERED)
    assert garmin.count("codes_checked") == 0
    assert garmin.count("credential_posts") == len(services)
    no_faults(garmin)
    for service, challenge in zip(services, asked, strict=True):
        signed_in = service.client.send_code(challenge, codes[service.driver])
        assert signed_in["status"] == "succeeded", signed_in


def test_a_profile_that_hangs_for_ever_loses_no_tokens(
    services: list[Service], garmin: Simulator
) -> None:
    hosts = {"hang": "*.garmin.com", "drip": "*.garmin.cn"}
    stuck = [entry for kind, host in hosts.items() for entry in fault(kind, PROFILE, host=host)]
    garmin.configure(faults=stuck, drip_interval_ms=1000)
    jobs = [
        (service, service.client.submit_login(service.name(f"plain-{domain[-2:]}"), domain=domain))
        for service in services
        for domain in ("garmin.com", "garmin.cn")
    ]
    for service, job in jobs:
        signed_in = service.client.wait(job)
        assert signed_in["status"] == "succeeded", signed_in
        assert service.client.session(signed_in)["user"]["display_name"] == "Garmin user"
    assert garmin.count("credential_posts") == len(jobs)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_garmin_whose_clock_is_an_hour_off_signs_in(
    services: list[Service], garmin: Simulator, hours: int
) -> None:
    garmin.configure(clock_offset_s=hours * 3600)

    def sign_in(service: Service) -> None:
        for signed_in in (
            service.client.login(service.name("plain")),
            service.client.login_with_code(garmin, service.name("email")),
        ):
            assert signed_in["status"] == "succeeded", signed_in
            linked = service.client.session(signed_in)["garmin"]
            assert (linked["linked"], linked["driver"]) == (True, service.driver)

    at_each(services, sign_in)
    assert garmin.count("credential_posts") == 2 * len(services)
