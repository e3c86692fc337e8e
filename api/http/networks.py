"""Whom a limit by address counts: an IPv4 address, or the networks an IPv6 customer may have.

Customers get a /64 at least, and up to a /48, which has 65,536 of them. So both are counted, and
the wider one has a larger quota: it may be shared by the telephones of one operator.
"""

from collections.abc import Iterator

from shared.crypto.keyring import Keyring
from shared.origin import network
from shared.redis.connection import Redis
from shared.redis.rate_limits import RateLimit

WIDER_QUOTA = 16
"""How many times the quota of a /64 its /48 has."""


class NetworkLimit:
    """`name` is of the limit by address; the one by /48 is called after it: `login-ip-48`."""

    def __init__(self, redis: Redis, name: str, notation: str, keyring: Keyring) -> None:
        self._narrow = RateLimit(redis, name, notation)
        self._wide = RateLimit(redis, f"{name}-48", notation, times=WIDER_QUOTA)
        self._keyring = keyring

    def parts(self, address: str) -> Iterator[tuple[RateLimit, str]]:
        """Each limit that applies, and whom it counts, the narrowest first."""
        yield self._narrow, self._sender(network(address))
        if ":" in address:
            yield self._wide, self._sender(network(address, 48))

    def _sender(self, network: str) -> str:
        return self._keyring.hash_name(f"address {network}")
