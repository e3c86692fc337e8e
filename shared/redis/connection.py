"""Connections to Redis, Lua scripts, and the translation of errors."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from importlib.resources import files
from typing import Any, cast

import redis as library
from redis.backoff import ConstantBackoff, NoBackoff
from redis.commands.core import Script
from redis.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from shared.errors import ServiceUnavailableError
from shared.keyspace import KeySpace

_RETRY_PAUSE = 0.5
_SURELY_THERE = 1.0
_FOR_EVER = -1
READ_SIZE = 8192
"""Bytes that a connection reads at once, and keeps a buffer for. The library's own 64 KiB, for each
of a dozen connections, are never needed: answers are short."""

_INCLUDE = re.compile(r'include\("([\w.]+)", "(\w+)"\)')


class Redis(library.Redis):
    """A client that knows how keys are named, for the stores that are given it."""

    keyspace = KeySpace()


def connect(
    url: str, *, timeout: float, patience: float = 0.0, keyspace: KeySpace = Redis.keyspace
) -> Redis:
    """Return a client with a pool of its own. It connects at the first command.

    `timeout` limits the wait for a connection and for a reply, in seconds. `patience` is for how
    many seconds a command is retried while Redis is down, hangs or is full: 0 for a web request,
    more for a worker, which holds tokens that Garmin issues once.
    """
    # One retry at least: a pooled connection may date from before Redis was restarted.
    retry = _Patience(patience) if patience else Retry(NoBackoff(), 1, (RedisConnectionError,))
    kind = _PatientRedis if patience else Redis
    made = kind.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=retry,
        socket_read_size=READ_SIZE,
        health_check_interval=30,
    )
    made.connection_pool.connection_class = _trusting(made.connection_pool.connection_class)
    client = cast("Redis", made)  # the library says its own class
    client.keyspace = keyspace
    return client


@cache
def _trusting(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return a kind of connection that is not looked at before each command.

    The library looks whether Redis has closed a connection, which is a system call and a switch of
    threads. One that was in use just now goes on without: a command that finds it closed is
    repeated over a new one.
    """

    class Trusting(kind):  # type: ignore[misc, valid-type]  # known at run time
        def can_read(self, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401 - the library's
            used_at = self.next_health_check - self.health_check_interval
            if time.monotonic() - used_at < _SURELY_THERE:
                return False
            return bool(super().can_read(*args, **kwargs))

    return Trusting


class _Patience(Retry):
    """Retry until `seconds` after the first try began, however long the tries take.

    redis-py retries the connection within each retry of a command: what is inside shares the time
    of what is outside.
    """

    _window = threading.local()

    def __init__(self, seconds: float) -> None:
        transient = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError)
        super().__init__(ConstantBackoff(_RETRY_PAUSE), _FOR_EVER, transient)
        self._seconds = seconds

    @contextmanager
    def window(self) -> Iterator[None]:
        """Let everything in the block, in this thread, share the time from now on."""
        if hasattr(self._window, "ends_at"):
            yield
            return
        self._window.ends_at = time.monotonic() + self._seconds
        try:
            yield
        finally:
            del self._window.ends_at

    def call_with_retry(self, do: Any, fail: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """The library's. `fail` closes the connection, which a last failure has to do as well."""

        def fail_in_time(error: Exception, *count: int) -> None:
            fail(error, *count)
            if time.monotonic() + _RETRY_PAUSE >= self._window.ends_at:
                raise error

        with self.window():
            return super().call_with_retry(do, fail_in_time, *args, **kwargs)


class _PatientRedis(Redis):
    """Getting a connection and using it share one patience."""

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the library's
        retry = self.get_retry()
        assert isinstance(retry, _Patience)  # noqa: S101 - for the type checker
        with retry.window():
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


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
        self._script: Script = redis.register_script(lua_source(package or "", name))

    def __call__(self, *keys: str, **arguments: object) -> Any:  # noqa: ANN401 - as Redis answers
        """Run the script with `KEYS`, and the arguments as one JSON object in `ARGV[1]`.

        Arguments that are None are left out: the script reads nil. Sealed values may be bytes.
        """
        return self.run(keys, script_arguments(**arguments))

    def run(self, keys: Sequence[str], *arguments: str) -> Any:  # noqa: ANN401 - as Redis answers
        """Run the script with several objects, each made by `script_arguments`."""
        return self._script(keys=keys, args=arguments)


def script_arguments(**arguments: object) -> str:
    given = {name: value for name, value in arguments.items() if value is not None}
    return json.dumps(given, default=_text)


def lua_source(package: str, name: str) -> str:
    """Read a script; `include("package", "name")` in it is another one, as a function."""
    source = files(package).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda m: f"function(KEYS, ARGV)\n{lua_source(m[1], m[2])}\nend", source)


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
