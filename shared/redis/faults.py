"""What is wrong with a Redis that answers: how old it is, and how it keeps what it is given."""

import logging
from enum import StrEnum
from typing import Any

from redis.exceptions import ResponseError

from shared.redis.connection import Redis, redis_errors_translated

_log = logging.getLogger(__name__)

_OLDEST = 7


class RedisFault(StrEnum):
    """In `/readyz`, each follows the name of the Redis it is about: `redis_eviction`."""

    VERSION = "version"
    EVICTION = "eviction"
    PERSISTENCE = "persistence"
    DISK = "disk"

    @property
    def explanation(self) -> str:
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    RedisFault.VERSION: f"it is older than Redis {_OLDEST}, which is the oldest that is supported",
    RedisFault.EVICTION: "its maxmemory-policy deletes sign-ins and limits: set noeviction",
    RedisFault.PERSISTENCE: "it keeps nothing over a restart: set appendonly yes",
    RedisFault.DISK: "it failed to write to its disk: is that full?",
}


class RedisFaults:
    """Finds the faults of one Redis, which has a name, and logs each when it appears."""

    def __init__(self, name: str, redis: Redis) -> None:
        self._name = name
        self._redis = redis
        self._logged: set[RedisFault] = set()

    def names(self) -> list[str]:
        """Return them as `/readyz` names them. Raises ServiceUnavailableError."""
        return [f"{self._name}_{fault}" for fault in self.check()]

    def check(self) -> list[RedisFault]:
        """Return them. Raises ServiceUnavailableError."""
        faults = self._find()
        for fault in faults:
            if fault not in self._logged:
                _log.warning("%s: %s", self._name, fault.explanation)
        self._logged = set(faults)
        return faults

    @redis_errors_translated
    def _find(self) -> list[RedisFault]:
        """What a Redis does not tell, as some managed ones don't, counts as right."""
        info = self._info()
        signs = {
            RedisFault.VERSION: _major(info) < _OLDEST,
            RedisFault.EVICTION: info.get("maxmemory_policy", "noeviction") != "noeviction",
            RedisFault.PERSISTENCE: info.get("aof_enabled", 1) == 0 and self._without_snapshots(),
            RedisFault.DISK: any(
                info.get(status, "ok") != "ok"
                for status in (
                    "aof_last_write_status",
                    "aof_last_bgrewrite_status",
                    "rdb_last_bgsave_status",
                )
            ),
        }
        return [fault for fault, present in signs.items() if present]

    def _info(self) -> dict[str, Any]:
        try:
            return dict(self._redis.info())
        except ResponseError:  # not allowed, or not known
            return {}

    def _without_snapshots(self) -> bool:
        try:
            return self._redis.config_get("save") == {"save": ""}
        except ResponseError:
            return False


def _major(info: dict[str, Any]) -> int:
    major = str(info.get("redis_version", "")).partition(".")[0]
    return int(major) if major.isdigit() else _OLDEST
