"""Where webhooks may go: any host that the operator names, but for the network's own services.

Apps of people who run this service live at private addresses, so these are allowed, and need no
TLS. Link-local addresses are refused, and others at which a cloud answers its machines with
credentials. A host is judged by the addresses that it has, however it is written: as a name,
`2130706433` or `0x7f.1`.
"""

import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from shared.webhooks.errors import AddressRefusedError, InvalidWebhookUrlError

Address = IPv4Address | IPv6Address

LONGEST_URL = 1024

_PRIVATE = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
_METADATA = frozenset(
    ip_address(address)
    for address in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google Cloud
    )
)
_EMBEDDING = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))
"""NAT64, and addresses that are called IPv4-compatible and IPv4-translated: they end with one."""


def parse_url(url: str) -> SplitResult:
    """Return the parts of a URL that may be an endpoint's. Raises InvalidWebhookUrlError."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError
    except ValueError:
        raise InvalidWebhookUrlError("the URL is not valid") from None
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidWebhookUrlError(
            f"a URL has at most {LONGEST_URL} characters, all ASCII, and no spaces"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidWebhookUrlError("the URL must begin with https:// and a host")
    if "@" in parts.netloc or "#" in url:
        raise InvalidWebhookUrlError("the URL must have no user name, password or fragment")
    return parts


def resolve(parts: SplitResult) -> list[Address]:
    """Return the host's addresses, in the order in which to try them. Raises OSError."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty or too long
        raise OSError("no valid host name") from None
    addresses = (ip_address(str(place[0])) for *_, place in found)
    return list(dict.fromkeys(addresses))


def check(parts: SplitResult, addresses: Iterable[Address]) -> None:
    """Raise AddressRefusedError if one of the host's addresses may not be delivered to."""
    for found in addresses:
        mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
        address = mapped or found
        if any(map(_is_refused, _meant(address))):
            raise AddressRefusedError("link-local and metadata addresses are refused")
        if parts.scheme != "https" and not _is_private(address):
            raise AddressRefusedError("only a private address may be reached without https")


def _meant(address: Address) -> Iterator[Address]:
    """Yield the address, and the IPv4 addresses that are written in it."""
    yield address
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in network for network in _EMBEDDING):
        yield IPv4Address(int(address) & 0xFFFF_FFFF)


def _is_refused(address: Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (isinstance(address, IPv4Address) and address.is_reserved)
        or (isinstance(address, IPv6Address) and address.is_site_local)
        or address in _METADATA
    )


def _is_private(address: Address) -> bool:
    return any(address in network for network in _PRIVATE)
