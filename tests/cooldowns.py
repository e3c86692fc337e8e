"""Refusals by Garmin, and rests that are over."""

from shared.errors import ClientRefusedError, RefusalScope
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns, Turn
from shared.redis.driver_keys import DriverKeys


def refuse(
    cooldowns: DriverCooldowns,
    driver: str = "garth",
    retry_after: int | None = None,
    *,
    account: str | None = "anna",
    scope: RefusalScope = RefusalScope.CLIENT,
) -> int:
    """Report a refusal that was no probe; for everybody unless another scope is given."""
    refusal = ClientRefusedError(retry_after, scope=scope)
    return cooldowns.refused(Turn(driver, account), refusal)


def end_rest(redis: Redis, driver: str = "garth") -> None:
    """As if the rest for everybody were over, and that of every account."""
    assert redis.hset(DriverKeys(redis.keyspace, driver).rest, "until", 1) == 0
    end_account_rests(redis, driver)


def end_account_rests(redis: Redis, driver: str = "garth") -> None:
    for key in redis.scan_iter(f"{DriverKeys(redis.keyspace, driver).rest}:account:*"):
        assert redis.hset(key, "until", 1) == 0
