"""Each reason why Garmin can't be reached, really brought about, with both libraries."""

import io
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import requests
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from dev.processes import free_port
from shared.errors import FitTrackError, GarminUnavailableError, GarminUnreachableError
from shared.timings import PRODUCTION, Timings
from tests.logs import captured_logs, parsed
from tests.worker.broken_servers import Servers, answer, cut, expired, servers
from tests.worker.ways import FixedPermit
from worker.drivers.garminconnect_session import GuardedSession, Passwords, Stop
from worker.drivers.http import GarminAdapter
from worker.drivers.proxies import GarminProxies, Proxy

TICKET = "ST-0123456-abcdefghij-sso"
TIMINGS = Timings(garmin_connect=0.5, garmin_answer=1.0, garmin_retry=0.01)
both = pytest.mark.parametrize("library", ["requests", "curl_cffi"])


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    with servers(tmp_path) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", running.ca_file)
        monkeypatch.setenv("CURL_CA_BUNDLE", running.ca_file)
        yield running


def fetch(
    library: str,
    url: str,
    proxy: str | None = None,
    method: str = "GET",
    left: float | None = None,
    timings: Timings = TIMINGS,
) -> FitTrackError:
    """Send a request that fails; return our error."""
    proxies = GarminProxies([Proxy("only", SecretStr(proxy))] if proxy else [])
    adapter, permit = GarminAdapter(timings, proxies), FixedPermit(left)
    if library == "requests":
        with requests.Session() as session:
            session.mount("https://", adapter.permitted(adapter.route("garth", permit)))
            with pytest.raises(GarminUnavailableError) as caught:
                session.request(method, url)
        adapter.close()
        return caught.value
    route = adapter.route("garth", permit)
    with GuardedSession(route, Passwords(lambda way: None)) as guarded, pytest.raises(Stop) as stop:
        guarded.request(method, url)
    return stop.value.verdict


def why(library: str, url: str, proxy: str | None = None) -> str:
    """Return the cause that the log names, in its only line."""
    with captured_logs() as log:
        error = fetch(library, f"{url}/mobile/api/login?ticket={TICKET}", proxy)
    assert isinstance(error, GarminUnavailableError)
    return cause_in(log)


def cause_in(log: io.StringIO) -> str:
    (line,) = [line for line in parsed(log.getvalue()) if line["logger"] == "worker.drivers.route"]
    assert line["level"] == "info"
    assert TICKET not in log.getvalue()
    assert "pr0xy-pass" not in log.getvalue()
    begin, host, cause = str(line["event"]).split(": ", 2)
    assert begin == "garth, login"
    assert host in ("127.0.0.1", "nothing.invalid", "sso.garmin.com")
    return cause


@both
def test_a_closed_port_is_refused(library: str) -> None:
    assert why(library, f"https://127.0.0.1:{free_port()}") == "connection refused"


@both
def test_a_name_that_does_not_exist_is_dns(library: str) -> None:
    assert why(library, "https://nothing.invalid") == "the name can't be resolved"


@both
@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        ("issuer", "TLS: certificate of an unknown issuer"),
        ("expired", "TLS: certificate expired"),
        ("host", "TLS: certificate of another host"),
        ("self-signed", "TLS: self-signed certificate"),
    ],
)
def test_the_problem_of_a_certificate_is_named(
    broken: Servers, library: str, problem: str, cause: str
) -> None:
    certificate = {
        "issuer": lambda: trustme.CA().issue_cert("127.0.0.1"),
        "expired": lambda: expired(broken.authority, "127.0.0.1"),
        "host": lambda: broken.authority.issue_cert("sso.garmin.com"),
        "self-signed": self_signed,
    }[problem]()
    assert why(library, f"https://127.0.0.1:{broken.start(cut, certificate)}") == cause


@both
def test_a_missing_file_of_certificates_is_named(
    broken: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
    port = broken.start(cut, broken.authority.issue_cert("127.0.0.1"))
    url = f"https://127.0.0.1:{port}"
    assert why(library, url) == "TLS: the file of trusted certificates can't be read"
    error = fetch(library, f"{url}/", method="POST")
    assert isinstance(error, GarminUnreachableError)
    assert error.unsent


def self_signed() -> trustme.LeafCert:
    """Return a certificate that is its own issuer."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return trustme.LeafCert(key.private_bytes(pem, pkcs8, plain), certificate.public_bytes(pem), [])


@both
def test_a_server_without_tls_is_named(broken: Servers, library: str) -> None:
    port = broken.start(lambda connection: connection.sendall(b"220 mail.example.com\r\n"))
    assert why(library, f"https://127.0.0.1:{port}") == "TLS: no connection"


@both
def test_a_full_backlog_is_a_timeout_while_connecting(library: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        assert why(library, f"https://127.0.0.1:{address[1]}") == "timeout while connecting"
        for one in waiting:
            one.close()


@both
def test_a_server_that_hangs_in_the_handshake_is_a_timeout_while_connecting(
    broken: Servers, library: str
) -> None:
    port = broken.start(broken.hang)
    assert why(library, f"https://127.0.0.1:{port}") == "timeout while connecting"


@both
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_never_answers_is_given_up(
    broken: Servers, library: str, method: str
) -> None:
    certificate = broken.authority.issue_cert("127.0.0.1")
    url = f"https://127.0.0.1:{broken.start(broken.hang_after_request, certificate)}"
    began = time.monotonic()
    with captured_logs() as log:
        error = fetch(library, f"{url}/mobile/api/login", method=method)
    assert cause_in(log) == "timeout while waiting for the answer"
    assert isinstance(error, GarminUnreachableError)
    assert error.unsent is (method == "GET")
    assert time.monotonic() - began < 2 * TIMINGS.garmin_answer


@both
def test_the_jobs_deadline_ends_a_request_that_is_under_way(broken: Servers, library: str) -> None:
    certificate = broken.authority.issue_cert("127.0.0.1")
    url = f"https://127.0.0.1:{broken.start(broken.hang_after_request, certificate)}/"
    for left in (0.3, 0.0001):  # curl would take a limit of 0 ms for none
        began = time.monotonic()
        fetch(library, url, left=left, timings=PRODUCTION)
        assert time.monotonic() - began < left + 1


@both
def test_an_answer_that_breaks_off_is_garmins_fault(broken: Servers, library: str) -> None:
    certificate = broken.authority.issue_cert("127.0.0.1")
    url = f"https://127.0.0.1:{broken.start(cut, certificate)}"
    assert why(library, url) == "cut off"
    assert type(fetch(library, f"{url}/")) is GarminUnavailableError


@both
@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        ("closed", "proxy: connection refused"),
        ("407", "proxy: status 407"),
        ("403", "proxy: status 403"),
        ("cut", "proxy: cut off"),
        ("hang", "timeout while connecting"),
    ],
)
def test_the_problem_of_a_proxy_is_named(
    broken: Servers, library: str, problem: str, cause: str
) -> None:
    ports: dict[str, Callable[[], int]] = {
        "closed": free_port,
        "407": lambda: broken.start(answer("407 Authenticate")),
        "403": lambda: broken.start(answer("403 No")),
        "cut": lambda: broken.start(cut),
        "hang": lambda: broken.start(broken.hang),
    }
    port = ports[problem]()
    proxy = f"http://name:pr0xy-pass@127.0.0.1:{port}"
    text = why(library, "https://sso.garmin.com", proxy)
    assert text == f"{cause} (by the proxy 127.0.0.1:{port})"


@both
def test_a_proxy_from_the_environment_is_told_from_garmin(
    monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert why(library, "https://sso.garmin.com") == "proxy: connection refused"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert why(library, f"https://127.0.0.1:{free_port()}") == "connection refused"


@both
def test_a_proxy_that_does_not_exist_is_named(library: str) -> None:
    text = why(library, "https://sso.garmin.com", "http://name:pr0xy-pass@nothing.invalid:3128")
    assert text == "proxy: its name can't be resolved (by the proxy nothing.invalid:3128)"


def test_a_first_answer_is_waited_for_far_less_than_twenty_seconds() -> None:
    assert PRODUCTION.garmin_connect + PRODUCTION.garmin_answer < 15
