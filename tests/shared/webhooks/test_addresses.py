"""Where webhooks may go, however an address is written."""

import socket
from ipaddress import ip_address

import pytest

from shared.webhooks.addresses import check, parse_url, resolve
from shared.webhooks.errors import AddressRefusedError, InvalidWebhookUrlError


@pytest.mark.parametrize(
    "url",
    [
        "ftp://app.example/hook",
        "https://",
        "//app.example/hook",
        "https://name:password@app.example/",
        "https://app.example/#part",
        "https://app.example:99999/",
        "https://app.example/with space",
        "https://app.example/\n",
        "https://[::1/",
        "https://äpp.example/",
        f"https://app.example/{'x' * 1024}",
    ],
)
def test_a_url_that_is_no_endpoints_is_rejected(url: str) -> None:
    with pytest.raises(InvalidWebhookUrlError):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000/hooks",
        "http://10.1.2.3/",
        "http://172.16.0.9/",
        "http://192.168.1.2/",
        "http://100.64.0.1/",
        "http://[::1]:3000/",
        "http://[fd12:3456::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "http://2130706433/",
        "https://10.0.0.1/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f::1]/",
    ],
)
def test_private_addresses_are_allowed_and_public_ones_with_tls(url: str) -> None:
    parts = parse_url(url)
    check(parts, resolve(parts))


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[::169.254.169.254]",
        "[::ffff:0:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0x0",
        "[::]",
        "224.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
        "[fec0::1]",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_link_local_and_metadata_addresses_are_refused(host: str, scheme: str) -> None:
    parts = parse_url(f"{scheme}://{host}/latest/meta-data")
    with pytest.raises(AddressRefusedError):
        check(parts, resolve(parts))


def test_a_name_is_judged_by_every_address_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [(0, 0, 0, "", (host, 80)) for host in ("10.0.0.1", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    parts = parse_url("https://metadata.example/")
    assert resolve(parts) == [ip_address("10.0.0.1"), ip_address("169.254.169.254")]
    with pytest.raises(AddressRefusedError):
        check(parts, resolve(parts))


@pytest.mark.parametrize("url", ["http://93.184.215.14/", "http://[2606:2800:21f::1]/"])
def test_a_public_address_needs_tls(url: str) -> None:
    parts = parse_url(url)
    with pytest.raises(AddressRefusedError, match="https"):
        check(parts, resolve(parts))


@pytest.mark.parametrize("host", ["nobody.invalid", "a" * 70, "a..b"])
def test_a_host_without_an_address_is_an_os_error(host: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - whatever the resolver calls it
        resolve(parse_url(f"https://{host}/"))
