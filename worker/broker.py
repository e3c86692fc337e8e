"""kombu's Redis transport, as it has to be to outlive its Redis.

A job that runs while the broker's connection breaks still has its message in the old channel. When
kombu 5.7 then acknowledges it, or puts it back, the channel has no connection any more, and what it
raises is an AttributeError, of which Celery's worker dies. Here it is the connection error that
Celery expects, logs and survives; the message comes back by its visibility timeout, and finds a job
that has ended or is held.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, Transport
from redis.exceptions import ConnectionError as RedisConnectionError


class LastingChannel(Channel):  # type: ignore[misc]  # untyped
    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: ANN401 - the library's
        if self.connection is None or self.connection.client is None:
            message = "the channel's connection is closed"
            raise RedisConnectionError(message)
        return super()._connparams(asynchronous=asynchronous)


class LastingTransport(Transport):  # type: ignore[misc]  # untyped
    Channel = LastingChannel


def install() -> None:
    """Uses it for `redis://` and `rediss://` in this process, from the next connection on."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{LastingTransport.__name__}"
