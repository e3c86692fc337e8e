"""Where a request came from, as far as it may be stored: ids, an address, no name."""

import ipaddress
import uuid
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError


class Origin(BaseModel):
    """Passed on with a job, unsealed, from the request to the audit log.

    `account` is the keyed hash of the Garmin account's name, `client_id` the app, `client_user_id`
    the app's own id of the user, and `address` the client's, as reported by trusted proxies.
    `began_at` is when the sign-in was submitted (its password, not its code), in ms by Redis'
    clock.
    """

    model_config = ConfigDict(frozen=True)

    account: str | None = None
    client_id: uuid.UUID | None = None
    client_user_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    began_at: int | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what was passed on; unknown if somebody has made it unreadable.

        What is sealed with it does not open then.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return cls()


UNKNOWN = Origin()
"""The service itself."""


def network(address: str, ipv6_bits: int = 64) -> str:
    """Return an IPv4 address as it is, and the network of an IPv6 one."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network(f"{address}/{ipv6_bits}", strict=False))
    except ValueError:  # an origin in Redis that this service has not written
        return f"unknown/{ipv6_bits}"
