"""Which drivers rest, for the operator: shown, counted, and woken."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from shared.redis.connection import Redis, redis_errors_translated
from shared.redis.driver_cooldowns import RestCause
from shared.redis.driver_keys import DriverKeys, DriverUse, refusals_key

_BATCH = 500


@dataclass(frozen=True)
class Rest:
    """A rest for everybody. It may be over: then a sign-in probes, or the next one will."""

    since: datetime
    until: datetime
    why: RestCause


@dataclass(frozen=True)
class DriverState:
    """`accounts` is how many accounts wait for themselves, `accounts_until` the last one's end."""

    driver: str
    now: datetime
    rest: Rest | None
    accounts: int
    accounts_until: datetime | None

    @property
    def rest_seconds(self) -> float:
        """How long the rest for everybody still lasts, or 0."""
        left = (self.rest.until - self.now).total_seconds() if self.rest else 0.0
        return max(0.0, left)


class DriverStates:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @redis_errors_translated
    def of(self, driver: str, use: DriverUse = DriverUse.SIGN_IN) -> DriverState:
        keys = DriverKeys(self._redis.keyspace, driver, use)
        now = self._now()
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.rest)
            pipe.zcount(keys.accounts, f"({now}", "+inf")
            pipe.zrevrangebyscore(keys.accounts, "+inf", f"({now}", 0, 1, withscores=True)
            rest, accounts, last = pipe.execute()
        return DriverState(
            driver=driver,
            now=_moment(now),
            rest=_rest(rest) if rest else None,
            accounts=accounts,
            accounts_until=_moment(last[0][1]) if last else None,
        )

    @redis_errors_translated
    def wake(self, driver: str) -> None:
        """End a driver's rests, for everybody and for each account, and forget how they grew.

        Those of sign-ins and of refreshes alike.
        """
        for use in DriverUse:
            self._wake(DriverKeys(self._redis.keyspace, driver, use))

    def _wake(self, keys: DriverKeys) -> None:
        accounts = cast("list[bytes]", self._redis.zrange(keys.accounts, 0, -1))
        for start in range(0, len(accounts), _BATCH):
            batch = accounts[start : start + _BATCH]
            self._redis.delete(*(keys.account(name.decode()) for name in batch))
        self._redis.delete(keys.rest, keys.known, keys.probe, keys.refused, keys.accounts)

    @redis_errors_translated
    def refusals(self) -> dict[tuple[str, str], int]:
        """How often Garmin refused each driver, by scope: `("garth", "client")` → 3."""
        counts = cast("dict[bytes, bytes]", self._redis.hgetall(refusals_key(self._redis.keyspace)))
        pairs = ((name.decode().partition(":"), count) for name, count in counts.items())
        return {(driver, scope): int(count) for (driver, _, scope), count in pairs}

    def _now(self) -> int:
        seconds, microseconds = self._redis.time()
        return seconds * 1000 + microseconds // 1000


def _rest(fields: dict[bytes, Any]) -> Rest:
    return Rest(
        since=_moment(fields[b"since"]),
        until=_moment(fields[b"until"]),
        why=RestCause(fields[b"why"].decode()),
    )


def _moment(milliseconds: float | bytes) -> datetime:
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)
