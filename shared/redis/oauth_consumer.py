"""garth's OAuth consumer, kept for the next process: `fittrack:oauth-consumer`, with a TTL.

It is public, but sealed all the same: what somebody else writes there is not used.
"""

from shared.crypto.keyring import Keyring, Purpose
from shared.errors import SealBrokenError
from shared.redis.connection import Redis, redis_errors_translated

_TTL_SECONDS = 30 * 86_400


class KeptConsumer:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis, keyring: Keyring) -> None:
        self._redis = redis
        self._keyring = keyring
        self._key = redis.keyspace.key("oauth-consumer")

    @redis_errors_translated
    def load(self) -> bytes | None:
        """Return what was kept, and keep it for another 30 days; None if it is not ours."""
        sealed = self._redis.getex(self._key, ex=_TTL_SECONDS)
        if not isinstance(sealed, bytes):
            return None
        try:
            return self._keyring.open(sealed, Purpose.OAUTH_CONSUMER, self._key)
        except SealBrokenError:
            return None

    @redis_errors_translated
    def save(self, consumer: bytes) -> None:
        sealed = self._keyring.seal(consumer, Purpose.OAUTH_CONSUMER, self._key)
        self._redis.set(self._key, sealed, ex=_TTL_SECONDS)
