"""Sample data, whose secrets are texts that are easy to search for, and helpers for tests."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

from pydantic import SecretStr

from dev.processes import free_port
from shared.errors import FitTrackError
from shared.garmin.types import (
    CodeSubmission,
    Credentials,
    GarminDomain,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
)
from shared.redis.connection import Redis

JOB_TTL = 900
CHALLENGE_TTL = 600
ATTEMPTS = 3

USERNAME = "plain-text-username@example.com"
PASSWORD = "plain-text-password"
CODE = "plain-text-code"
STATE = "plain-text-garmin-cookie"
TOKEN = "plain-text-garmin-token"
CHALLENGE_ID = "plain-text-challenge-id"
ACCESS_TOKEN = "plain-text-access-token"
SECRETS = (USERNAME, PASSWORD, CODE, STATE, TOKEN, CHALLENGE_ID, ACCESS_TOKEN)

CREDENTIALS = Credentials(username=SecretStr(USERNAME), password=SecretStr(PASSWORD))
SUBMISSION = CodeSubmission(challenge_id=SecretStr(CHALLENGE_ID), code=SecretStr(CODE))
PENDING = PendingSignIn(
    driver="garth",
    domain=GarminDomain.COM,
    mfa_type="email",
    mfa_destination="an*****@example.com",
    state=SecretStr(STATE),
)
ANNA = GarminIdentity(guid="0a1b2c3d-anna", display_name="Anna")
BOB = GarminIdentity(guid="4e5f6a7b-bob", display_name="Bob")


def garmin_tokens(
    data: str = TOKEN,
    *,
    driver: str = "garth",
    domain: GarminDomain = GarminDomain.COM,
    refreshable: timedelta = timedelta(days=365),
) -> GarminTokens:
    now = datetime.now(UTC)
    return GarminTokens(
        driver=driver,
        domain=domain,
        data=SecretStr(data),
        access_expires_at=now + timedelta(days=1),
        refresh_expires_at=now + refreshable,
    )


def everything_in(redis: Redis) -> bytes:
    """Return all keys and values."""
    parts: list[bytes] = []
    for key in redis.scan_iter():
        parts.append(key)
        if redis.type(key) == b"hash":
            fields: Any = redis.hgetall(key)
            parts += [item for pair in fields.items() for item in pair]
        elif redis.type(key) == b"zset":
            members: Any = redis.zrange(key, 0, -1)
            parts += members
        elif redis.type(key) == b"stream":
            entries: Any = redis.xrange(key)
            parts += [value for _, fields in entries for value in fields.values()]
        else:
            value: Any = redis.get(key)
            parts.append(value)
    return b"\n".join(parts)


def keys_that_never_expire(redis: Redis) -> list[bytes]:
    return [key for key in redis.scan_iter() if redis.pttl(key) < 0]


def at_once[T](work: Callable[[int], T], threads: int = 32) -> list[T | FitTrackError]:
    """Run `work` in threads that start together; return what each returned or raised."""
    barrier = Barrier(threads)

    def run(number: int) -> T | FitTrackError:
        barrier.wait()
        try:
            return work(number)
        except FitTrackError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def nothing_listens() -> str:
    """Return an address that refuses connections."""
    return f"127.0.0.1:{free_port()}"


@contextmanager
def nobody_answers() -> Iterator[str]:
    """Yield an address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"
