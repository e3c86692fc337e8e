"""Where secrets go, and where not."""

import ssl
import threading
from pathlib import Path

import pytest
import trustme

from tests.client.cli.program import PASSWORD, Program, finished
from tests.client.stand_in import (
    ACCESS_TOKEN,
    CHALLENGE,
    CODE,
    LOGIN,
    Answer,
    StandIn,
    accepted,
    code_asked,
    failed,
    job,
    poll_token,
    problem,
    succeeded,
    under_way,
)

SECRETS = (PASSWORD, ACCESS_TOKEN, CHALLENGE, poll_token("one"), poll_token("two"), "123456")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "ending",
    [
        succeeded("two"),
        failed("two", "mfa_code_invalid", attempts_left=2),
        failed("two", "invalid_credentials"),
        Answer(200, {"access_token": ACCESS_TOKEN, "status": "succeeded", "poll": PASSWORD}),
        Answer(200, raw=f"{ACCESS_TOKEN}{CHALLENGE}{PASSWORD}".encode()),
        problem(404, "job_not_found"),
    ],
    ids=["done", "wrong-code", "wrong-password", "garbled", "garbage", "gone"],
)
def test_no_secret_is_printed(
    service: StandIn, program: Program, ending: Answer, as_json: bool
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), code_asked("one"))
    service.on(CODE, accepted("two"))
    service.on(job("two"), ending)

    options = ("--json",) if as_json else ("--code-stdin",)
    result = program.login(*options, lines=(PASSWORD, "123456"))

    assert len(service.seen(job("two"))) == 1
    for secret in SECRETS:
        assert secret not in result.out
        assert secret not in result.err


def test_no_secret_stands_where_other_programs_see_it(service: StandIn, program: Program) -> None:
    release = threading.Event()
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), under_way("one", "storing", held_by=release), succeeded("one"))

    with program.started("login", "-u", "runner@example.com", "--password-stdin") as process:
        assert process.stdin
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        service.wait_for(job("one"))
        seen = _what_others_see(process.pid)
        release.set()
        assert finished(process).exit_code == 0

    assert all(secret.encode() not in seen for secret in SECRETS)


def _what_others_see(pid: int) -> bytes:
    files = [Path(f"/proc/{pid}/{name}") for name in ("cmdline", "environ")]
    return b"".join(file.read_bytes() for file in files if file.exists())


def test_the_password_is_no_argument(service: StandIn, program: Program) -> None:
    result = program.run("login", "--username", "runner@example.com", "--password", PASSWORD)

    assert result.exit_code == 2
    assert PASSWORD not in result.err
    assert service.requests == []


def test_no_secret_goes_unprotected_to_another_machine(program: Program) -> None:
    login = program.login("--server", "http://192.0.2.1:8000")
    status = program.run("status", "one", "--server", "http://192.0.2.1", stdin="token\n")

    assert login.exit_code == status.exit_code == 2
    assert "--insecure-http" in login.err
    assert "--insecure-http" in status.err


def test_unless_that_is_said_to_be_wanted(service: StandIn, program: Program) -> None:
    """The stand-in plays the proxy, so that no name has to be looked up."""
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))

    result = program.run(
        "login",
        *("-u", "runner@example.com", "--password-stdin", "--insecure-http"),
        *("--server", "http://auth.example.com"),
        stdin=f"{PASSWORD}\n",
        HTTP_PROXY=service.url,
    )

    assert result.exit_code == 0, result.err
    assert service.seen(LOGIN)[0].headers["host"] == "auth.example.com"


def test_what_is_on_this_machine_is_not_asked_through_a_proxy(
    service: StandIn, program: Program
) -> None:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))

    with StandIn().running() as proxy:
        elsewhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), proxy.url)
        program.environment |= elsewhere | {"SSL_CERT_FILE": "/nowhere.pem"}
        result = program.login()

    assert result.exit_code == 0, result.err
    assert proxy.requests == []


@pytest.mark.parametrize(
    "broken",
    [{"ALL_PROXY": "socks9://192.0.2.1"}, {"SSL_CERT_FILE": "/nowhere.pem"}],
    ids=["proxy", "certificates"],
)
def test_settings_that_can_not_be_used_are_named(program: Program, broken: dict[str, str]) -> None:
    program.environment |= broken

    result = program.login("--server", "https://auth.example.com")

    assert result.exit_code == 2
    assert "proxy or certificate settings" in result.err


def test_a_redirect_is_not_followed(service: StandIn, program: Program) -> None:
    with StandIn().running() as elsewhere:
        location = f"{elsewhere.url}/api/garmin/login"
        service.on(LOGIN, Answer(307, headers={"Location": location}))
        result = program.login()

    assert result.exit_code == 3
    assert elsewhere.url in result.err
    assert elsewhere.requests == []


@pytest.mark.parametrize("status_url", ["{url}/api/jobs/one", "//{authority}/api/jobs/one", ""])
def test_a_poll_token_goes_to_no_other_server(
    service: StandIn, program: Program, status_url: str
) -> None:
    service.on(job("one"), succeeded("one"))
    with StandIn().running() as elsewhere:
        authority = elsewhere.url.removeprefix("http://")
        pointed = status_url.format(url=elsewhere.url, authority=authority)
        data = accepted("one").data
        assert isinstance(data, dict)
        service.on(LOGIN, Answer(202, data | {"status_url": pointed}))
        result = program.login("--json")

    assert result.exit_code == 0
    assert len(service.seen(job("one"))) == 1
    assert elsewhere.requests == []


@pytest.mark.parametrize("prefix_in_answer", [True, False])
def test_a_service_behind_a_path_is_asked_there(
    service: StandIn, program: Program, prefix_in_answer: bool
) -> None:
    data = accepted("one").data
    assert isinstance(data, dict)
    prefix = "/auth" if prefix_in_answer else ""
    service.on(
        "POST /auth/api/garmin/login", Answer(202, data | {"status_url": f"{prefix}/api/jobs/one"})
    )
    service.on("GET /auth/api/jobs/one", succeeded("one"))

    result = program.login("--server", f"{service.url}/auth/")

    assert result.exit_code == 0, result.err


def test_a_certificate_nobody_vouches_for_is_refused(program: Program, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))

    with StandIn(tls).running() as service:
        service.on(LOGIN, accepted("one"))
        service.on(job("one"), succeeded("one"))
        refused = program.login("--server", service.url, "--json")
        asked_before_trust = len(service.requests)
        program.environment["SSL_CERT_FILE"] = str(tmp_path / "authority.pem")
        trusted = program.login("--server", service.url, "--json")

    assert refused.exit_code == 3
    assert refused.error["code"] == "tls_failed"
    assert asked_before_trust == 0
    assert trusted.exit_code == 0, trusted.out


def test_an_unusable_address_is_refused_and_not_repeated(program: Program) -> None:
    result = program.login("--server", "http://someone:secret@127.0.0.1:8000")

    assert result.exit_code == 2
    assert "not a usable server address" in result.err
    assert "secret" not in result.err
