"""Connections to Redis, scripts, and how its failures are translated."""

import json
from collections.abc import Callable
from functools import wraps
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.commands.core import Script
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from shared.errors import ServiceUnavailableError

_RETRY_PAUSE = 0.5


def connect(url: str, *, timeout: float, patience: float = 0.0) -> Redis:
    """A client with its own pool. Connects at the first command.

    `timeout` is the longest wait in seconds for a connection and for a reply. `patience` is how
    many seconds a command is repeated while Redis is away, or full: 0 for a web request, which has
    a person waiting; longer for a worker, which holds what Garmin gave it.
    """
    # Once at the least: a pooled connection may be left over from before Redis was restarted.
    retry = Retry(NoBackoff(), 1, (RedisConnectionError,))
    if patience:
        repeats = int(patience / _RETRY_PAUSE)
        passing = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError)
        retry = Retry(ConstantBackoff(_RETRY_PAUSE), repeats, passing)
    return Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=retry,
        health_check_interval=30,
    )


class RedisHealth:
    """Whether Redis answers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def ping(self) -> None:
        """Raise ServiceUnavailableError if it does not."""
        _ping(self._redis)


class LuaScript:
    """The Lua script `lua/<name>.lua` of a package; Redis runs it as one step."""

    def __init__(self, redis: Redis, package: str | None, name: str) -> None:
        source = files(package or "").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
        self._script: Script = redis.register_script(source)

    def __call__(self, *keys: str, **arguments: object) -> Any:  # noqa: ANN401 - as Redis answers
        """Run it with `KEYS`, and with the arguments as one JSON object in `ARGV[1]`.

        Leaves out arguments that are None: the script sees nil. Sealed values may be bytes.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        return self._script(keys=keys, args=[json.dumps(given, default=_text)])


def _text(value: bytes) -> str:
    return value.decode("ascii")


def redis_errors_translated[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Turn what redis-py raises into ServiceUnavailableError."""

    @wraps(function)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RedisError:
            raise ServiceUnavailableError("redis") from None

    return translated


@redis_errors_translated
def _ping(redis: Redis) -> None:
    redis.ping()
