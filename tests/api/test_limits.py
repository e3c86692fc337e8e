"""Limits as clients see them: status, code, and the headers that tell where one stands."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.http.networks import WIDER_QUOTA
from dev.stack import Stack
from shared.errors import JobErrorCode, RefusalScope
from shared.garmin.types import Credentials
from shared.jobs.account_limit import CodeLimit
from shared.jobs.states import Failure
from shared.origin import Origin
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.rate_limits import LOGIN_PER_ACCOUNT, RateLimit
from tests.api.problems import assert_problem
from tests.api.service import (
    CODE,
    CREDENTIALS,
    LOGIN,
    Job,
    Service,
    in_process,
    pending,
    running_alone,
    settings,
)
from tests.cooldowns import end_rest, refuse

PER_ACCOUNT, CODES = "2/hour", "3/hour"
WRONG_KEYS = 30
LIMITS = {
    "FITTRACK_LIMIT_LOGIN_PER_IP": "4/hour;6/day",
    "FITTRACK_LIMIT_LOGIN_PER_ACCOUNT": PER_ACCOUNT,
    "FITTRACK_LIMIT_CODE_PER_IP": "4/hour",
    "FITTRACK_LIMIT_LOGIN_PER_CLIENT": "7/hour",
    "FITTRACK_LIMIT_CODE_PER_CLIENT": "6/hour",
    "FITTRACK_LIMIT_CODE_PER_CHALLENGE": "2/hour",
    "FITTRACK_LIMIT_CODES_PER_ACCOUNT": CODES,
    "FORWARDED_ALLOW_IPS": "127.0.0.1",
}
_ITEM = re.compile(r'"([a-z0-9-]+)";([a-z])=(\d+);([a-z])=(\d+)')


@pytest.fixture(scope="module")
def limited_service(server_folder: Path) -> Iterator[Service]:
    with running_alone(server_folder / "limited", **LIMITS) as service:
        yield service


@pytest.fixture
def limited(limited_service: Service) -> Service:
    limited_service.redis.flushall()
    return limited_service


def login(service: Service, name: str = "", address: str = "192.0.2.1") -> httpx.Response:
    return post_login(service.client, name or address, address)


def post_login(client: httpx.Client, name: str, address: str) -> httpx.Response:
    body = {"username": f"{name}@example.com", "password": "x"}
    return client.post(LOGIN, json=body, headers={"X-Forwarded-For": address})


def refused(reply: httpx.Response) -> None:
    assert_problem(reply, 429, "rate_limited")
    assert int(reply.headers["Retry-After"]) > 0
    remaining = [int(r) for r in re.findall(r"r=(\d+)", reply.headers["RateLimit"])]
    assert min(remaining) == 0


def test_sign_ins_are_limited_per_address(limited: Service) -> None:
    for n in range(4):
        assert login(limited, f"anna{n}").status_code == 202
    refused(login(limited, "anna4"))
    assert login(limited, "bob", "192.0.2.2").status_code == 202


def test_the_headers_say_what_remains(limited: Service) -> None:
    first, second = login(limited, "a"), login(limited, "b")
    assert _ITEM.findall(first.headers["RateLimit-Policy"]) == [
        ("login-ip-3600s", "q", "4", "w", "3600"),
        ("login-ip-86400s", "q", "6", "w", "86400"),
    ]
    standing = _ITEM.findall(second.headers["RateLimit"])
    assert [(name, int(r)) for name, _, r, _, _ in standing] == [
        ("login-ip-3600s", 2),
        ("login-ip-86400s", 4),
    ]
    assert all(0 < int(t) <= 86_400 for _, _, _, _, t in standing)


def test_a_whole_ipv6_network_is_one_address(limited: Service) -> None:
    for n in range(4):
        assert login(limited, f"six{n}", f"2001:db8:1:2::{n}").status_code == 202
    refused(login(limited, "six", "2001:db8:1:2:ffff::1"))
    assert login(limited, "seven", "2001:db8:1:3::1").status_code == 202


def test_the_networks_of_one_ipv6_customer_are_counted_together(limited: Service) -> None:
    """A /48 has 65,536 of the networks that are one address each."""
    allowed = 4 * WIDER_QUOTA
    for n in range(allowed):
        assert login(limited, f"wide{n}", f"2001:db8:1:{n // 4:x}::{n}").status_code == 202
    reply = login(limited, "wide", "2001:db8:1:ffff::1")
    refused(reply)
    assert "login-ip-48-3600s" in reply.headers["RateLimit"]
    assert login(limited, "other", "2001:db8:2:1::1").status_code == 202
    events = repr(limited.redis.xrange("fittrack:events"))
    assert events.count("rate_limited") == 1


def test_an_app_is_limited_by_its_key_and_not_by_its_servers_address(limited: Service) -> None:
    app, other = limited.app_with_link("limited-app"), limited.app_with_link("other-app")

    def submit(headers: dict[str, str], name: str, address: str = "192.0.2.1") -> httpx.Response:
        body = {"username": f"{name}@example.com", "password": "x"}
        forwarded = {"X-Forwarded-For": address}
        return limited.client.post(LOGIN, json=body, headers=headers | forwarded)

    replies = [submit(app, f"a{n}", f"192.0.2.{n % 2}") for n in range(8)]
    assert [reply.status_code for reply in replies] == [202] * 7 + [429]
    assert '"login-client-3600s";q=7' in replies[0].headers["RateLimit-Policy"]
    refused(replies[-1])
    assert submit(other, "b").status_code == 202
    assert submit({}, "c").status_code == 202  # the address has its quota still


def test_an_apps_codes_are_limited_by_its_key(limited: Service) -> None:
    app = limited.app_with_link("limited-app")
    bodies = [{"challenge_id": f"unknown-{n}", "mfa_code": "123456"} for n in range(7)]
    replies = [limited.client.post(CODE, json=body, headers=app) for body in bodies]
    assert [reply.status_code for reply in replies] == [404] * 6 + [429]
    assert limited.send_code("unknown").status_code == 404


def test_a_wrong_key_is_counted_against_the_address(limited: Service) -> None:
    """Or anybody could have sign-ins counted elsewhere by sending one."""
    for n in range(4):
        assert login(limited, f"wrong{n}").status_code == 202
    headers = {"X-Client-Key": "x" * 43, "X-Forwarded-For": "192.0.2.1"}
    reply = limited.client.post(LOGIN, json=CREDENTIALS, headers=headers)
    assert_problem(reply, 401, "unauthorized")
    refused(login(limited, "wrong4"))


def test_a_forwarded_address_is_trusted_only_from_a_configured_proxy(
    tmp_path: Path, real_redis_url: str
) -> None:
    untrusting = settings(real_redis_url, tmp_path) | LIMITS | {"FORWARDED_ALLOW_IPS": "192.0.2.9"}
    with in_process(untrusting) as client:
        for n in range(4):
            assert post_login(client, f"x{n}", f"192.0.2.{n}").status_code == 202
        refused(post_login(client, "x5", "192.0.2.200"))


def test_api_processes_share_limits(limited: Service) -> None:
    with Stack(limited.stack.folder, limited.stack.settings) as other:
        other.begin_api().wait_ready()
        for n in range(2):
            assert login(limited, f"y{n}").status_code == 202
        with httpx.Client(base_url=other.url, trust_env=False, timeout=30) as client:
            headers = {"X-Forwarded-For": "192.0.2.1"}
            replies = [
                client.post(
                    LOGIN, json={"username": f"z{n}@x.org", "password": "x"}, headers=headers
                )
                for n in range(3)
            ]
    assert [reply.status_code for reply in replies] == [202, 202, 429]


def test_only_failed_sign_ins_count_against_an_account(limited: Service) -> None:
    account = Credentials.model_validate(CREDENTIALS).account
    who = limited.keyring.hash_name(account)
    failures = RateLimit(limited.redis, LOGIN_PER_ACCOUNT, PER_ACCOUNT)

    def submit(address: str) -> httpx.Response:
        headers = {"X-Forwarded-For": address}
        body = CREDENTIALS | {"username": " RUNNER@example.com"}
        reply = limited.client.post(LOGIN, json=body, headers=headers)
        if reply.status_code == 202:
            job = Job(reply.json()["job_id"], reply.json()["poll_token"])
            limited.jobs.end(limited.claim(job), Failure(code=JobErrorCode.TIMED_OUT))
        return reply

    for n in range(5):
        assert submit(f"198.51.100.{n}").status_code == 202
    for _ in range(2):
        failures.count(who)
    reply = submit("198.51.100.7")
    refused(reply)
    assert "of this account" in reply.json()["detail"]
    failures.clear(who)
    assert submit("198.51.100.8").status_code == 202


def test_no_password_is_accepted_once_garmin_has_sent_too_many_codes(limited: Service) -> None:
    account = limited.keyring.hash_name("garmin.com:anna@example.com")
    codes = CodeLimit(limited.redis, CODES)
    for n in range(3):
        assert login(limited, "bob" * (n + 1)).status_code == 202
        codes.count(account, f"job {n}")
    before = limited.kept()
    for address in ("192.0.2.2", "192.0.2.3"):
        reply = login(limited, "anna", address)
        refused(reply)
        assert "codes-account" in reply.headers["RateLimit"]
        assert int(reply.headers["Retry-After"]) > 3500
    assert limited.kept() == before
    assert login(limited, "carla", "192.0.2.4").status_code == 202


def test_after_garmins_own_limit_no_password_is_accepted_for_a_day_but_codes_are(
    limited: Service,
) -> None:
    account = limited.keyring.hash_name("garmin.com:anna@example.com")
    challenge = limited.challenges.create(pending(), Origin(account=account))
    CodeLimit(limited.redis, CODES).refuse(account)
    reply = login(limited, "anna")
    refused(reply)
    assert int(reply.headers["Retry-After"]) > 86_000
    assert limited.send_code(challenge.challenge_id.get_secret_value()).status_code == 202


def test_an_account_that_is_locked_takes_no_code(limited: Service) -> None:
    account = limited.keyring.hash_name("garmin.com:anna@example.com")
    challenge = limited.challenges.create(pending(), Origin(account=account))
    challenge_id = challenge.challenge_id.get_secret_value()
    failures = RateLimit(limited.redis, LOGIN_PER_ACCOUNT, PER_ACCOUNT)
    for _ in range(2):
        failures.count(account)
    reply = limited.send_code(challenge_id)
    refused(reply)
    assert "of this account" in reply.json()["detail"]
    failures.clear(account)
    assert limited.send_code(challenge_id).status_code == 202  # it was given back


def test_codes_are_limited_per_address(limited: Service) -> None:
    replies = [limited.send_code(f"unknown-{n}") for n in range(5)]
    assert [reply.status_code for reply in replies] == [404] * 4 + [429]
    refused(replies[-1])


def test_codes_are_limited_per_challenge_across_addresses(limited: Service) -> None:
    challenge_id = limited.ask_for_code().challenge_id.get_secret_value()

    def send(address: str) -> httpx.Response:
        body = {"challenge_id": challenge_id, "mfa_code": "123456"}
        return limited.client.post(CODE, json=body, headers={"X-Forwarded-For": address})

    assert send("192.0.2.1").status_code == 202
    assert send("192.0.2.2").status_code == 409
    refused(send("192.0.2.3"))


def test_a_rate_limited_sender_is_audited_once(limited: Service) -> None:
    for n in range(5):
        login(limited, f"person{n}")
    events = repr(limited.redis.xrange("fittrack:events"))
    assert events.count("rate_limited") == 1
    assert "192.0.2.1" in events
    assert "person" not in events


def test_limit_keys_contain_no_address(limited: Service) -> None:
    login(limited)
    keys = list(limited.redis.scan_iter("fittrack:limit:*"))
    assert len(keys) == 2
    assert not [key for key in keys if b"192.0.2" in key]


def test_while_every_driver_cools_down_no_password_is_accepted(limited: Service) -> None:
    cooldowns = DriverCooldowns(limited.redis)
    refuse(cooldowns, "garth", 100)
    assert login(limited, "one").status_code == 202
    refuse(cooldowns, "garminconnect", 300)
    reply = login(limited, "two")
    problem = assert_problem(reply, 503, "service_unavailable")
    assert problem["unavailable"] == ["garmin"]
    assert 0 < int(reply.headers["Retry-After"]) <= 100
    assert len([key for key in limited.kept() if key.endswith(":input")]) == 1


def test_wrong_client_keys_reach_the_database_at_a_bounded_rate(limited: Service) -> None:
    valid = limited.app_with_link("known")
    path = "/api/users/known/garmin"

    def reply(key: str, address: str = "192.0.2.1") -> httpx.Response:
        headers = {"X-Client-Key": key, "X-Forwarded-For": address}
        return limited.client.get(path, headers=headers)

    assert reply(valid["X-Client-Key"]).status_code == 200
    statuses = [reply(secrets.token_urlsafe(32)).status_code for _ in range(WRONG_KEYS + 5)]
    assert statuses == [401] * WRONG_KEYS + [429] * 5
    assert reply(valid["X-Client-Key"]).status_code == 200  # known: not held back by the others
    assert reply(secrets.token_urlsafe(32), "192.0.2.2").status_code == 401


def test_a_malformed_client_key_is_not_looked_up(limited: Service) -> None:
    for key in ("x", "x" * 44, "ä" * 43):
        reply = limited.client.get("/api/users/x/garmin", headers={b"X-Client-Key": key.encode()})
        assert_problem(reply, 401, "unauthorized")
    assert not limited.redis.keys("*wrong-key*")


def test_an_account_that_garmin_refuses_closes_the_service_to_nobody_else(
    limited: Service,
) -> None:
    assert login(limited, "one").status_code == 202
    [account] = [key for key in limited.kept() if key.startswith("fittrack:account:")]
    for driver in ("garth", "garminconnect"):
        refuse(
            DriverCooldowns(limited.redis),
            driver,
            100,
            account=account.removeprefix("fittrack:account:"),
            scope=RefusalScope.ACCOUNT,
        )
    limited.redis.delete(account)
    reply = login(limited, "one")
    assert assert_problem(reply, 503, "service_unavailable")["unavailable"] == ["garmin"]
    assert 0 < int(reply.headers["Retry-After"]) <= 100
    assert login(limited, "two").status_code == 202


def test_while_one_sign_in_probes_the_others_wait_shortly(limited: Service) -> None:
    cooldowns = DriverCooldowns(limited.redis)
    for driver in ("garth", "garminconnect"):
        refuse(cooldowns, driver)
        end_rest(limited.redis, driver)
        cooldowns.enter(driver, "somebody")
    reply = login(limited, "one")
    assert_problem(reply, 503, "service_unavailable")
    assert 0 < int(reply.headers["Retry-After"]) <= 10
