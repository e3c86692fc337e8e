"""When Garmin first refused a Personal API key, so that it is asked again before it is believed.

`fittrack:key-refused:<id of stored tokens>:<generation>`: its remaining time to live says when. An
exchange that succeeds makes another generation, to which the refusal no longer belongs. Lost with
Redis, it only takes longer until the key counts as revoked.
"""

import math
import uuid

from shared.redis.connection import Redis, redis_errors_translated
from shared.timings import PRODUCTION, Timings

_TTL = 30 * 86_400_000


class KeyRefusals:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis, timings: Timings = PRODUCTION) -> None:
        self._redis = redis
        self._recheck = timings.key_recheck

    @redis_errors_translated
    def note(self, token_id: uuid.UUID, generation: int) -> int:
        """Note a refusal; return after how many seconds another one is believed.

        0: this one is, the first is long enough ago.
        """
        key = self._redis.keyspace.key("key-refused", str(token_id), str(generation))
        if self._redis.set(key, 1, nx=True, px=_TTL):
            return math.ceil(self._recheck)
        age = (_TTL - int(self._redis.pttl(key))) / 1000
        return max(0, math.ceil(self._recheck - age))
