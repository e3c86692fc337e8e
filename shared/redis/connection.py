"""Connections to Redis, Lua scripts, and the translation of errors."""

import json
from collections.abc import Callable
from functools import wraps
from importlib.resources import files
from typing import Any, cast

import redis as library
from redis.backoff import ConstantBackoff, NoBackoff
from redis.commands.core import Script
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from shared.errors import ServiceUnavailableError
from shared.keyspace import KeySpace

_RETRY_PAUSE = 0.5


class Redis(library.Redis):
    """A client that knows how keys are named, for the stores that are given it."""

    keyspace = KeySpace()


def connect(
    url: str, *, timeout: float, patience: float = 0.0, keyspace: KeySpace = Redis.keyspace
) -> Redis:
    """Return a client with a pool of its own. It connects at the first command.

    `timeout` limits the wait for a connection and for a reply, in seconds. `patience` is how many
    seconds of pauses a command is retried for while Redis is down or full: 0 for a web request,
    more for a worker, which holds tokens that Garmin issues once.
    """
    # One retry at least: a pooled connection may date from before Redis was restarted.
    retry = Retry(NoBackoff(), 1, (RedisConnectionError,))
    if patience:
        repeats = int(patience / _RETRY_PAUSE)
        transient = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError)
        retry = Retry(ConstantBackoff(_RETRY_PAUSE), repeats, transient)
    made = Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=retry,
        health_check_interval=30,
    )
    client = cast("Redis", made)  # the library says its own class
    client.keyspace = keyspace
    return client


class RedisHealth:
    """Check whether Redis answers."""

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
        """Run the script with `KEYS`, and the arguments as one JSON object in `ARGV[1]`.

        Arguments that are None are left out: the script reads nil. Sealed values may be bytes.
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
