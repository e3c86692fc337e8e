"""Audit events on their way to the database, which may be down while Redis is up.

`fittrack:events` (stream) is written in the same step as the job that an event is about, and moved
to the database by every worker. `fittrack:events:told:<name>` marks an event added recently.
`fittrack:events:counted` (sorted set: names, by when their time is over) and
`fittrack:events:counted:<name>` (hash: event, count) are events that are still being counted.
"""

from typing import Any, cast

from pydantic import ValidationError

from shared.audit.events import Event
from shared.keyspace import KeySpace
from shared.redis.connection import (
    LuaScript,
    Redis,
    redis_errors_translated,
    script_arguments,
)

TTL = 7 * 86_400
MAX_LENGTH = 100_000
"""Most events kept, about 40 MB; beyond that, the oldest are dropped."""

_FIELD = "event"


def key(keyspace: KeySpace) -> str:
    return keyspace.key("events")


class EventOutbox:
    """Audit events in Redis. Every method raises ServiceUnavailableError if it does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = key(redis.keyspace)
        self._count = LuaScript(redis, __package__, "event_count")
        self._end_counts = LuaScript(redis, __package__, "event_counts_end")

    @redis_errors_translated
    def add(self, event: Event) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            fields: dict[Any, Any] = {_FIELD: event.model_dump_json(exclude_none=True)}
            pipe.xadd(self._key, fields, maxlen=MAX_LENGTH, approximate=True)
            pipe.expire(self._key, TTL)
            pipe.execute()

    @redis_errors_translated
    def add_once(self, event: Event, name: str, seconds: int) -> None:
        """Add the event unless one with this name was added in the last `seconds`."""
        if self._redis.set(f"{self._key}:told:{name}", 1, nx=True, ex=seconds):
            self.add(event)

    @redis_errors_translated
    def add_counted(self, event: Event, name: str, seconds: int) -> None:
        """Count an event together with the equal ones of the next `seconds`.

        They become one event, whose outcome is how many they were.
        """
        self._count.run(self.count_keys(name), count_arguments(event, name, seconds))

    def count_keys(self, name: str) -> list[str]:
        """The keys of `event_count.lua`, for a script that includes it."""
        return [f"{self._key}:counted", f"{self._key}:counted:{name}"]

    @redis_errors_translated
    def end_counts(self, limit: int = 200) -> int:
        """Add the events whose time to be counted is over; return how many."""
        return int(
            self._end_counts(
                f"{self._key}:counted",
                self._key,
                windows=f"{self._key}:counted:",
                limit=limit,
                event_limit=MAX_LENGTH,
                event_ttl=TTL,
            )
        )

    @redis_errors_translated
    def oldest(self, limit: int) -> list[tuple[bytes, Event | None]]:
        """Return up to `limit` entries, oldest first: entry id, and the event if it is readable."""
        entries = cast(
            "list[tuple[bytes, dict[bytes, bytes]]]", self._redis.xrange(self._key, count=limit)
        )
        return [
            (entry_id, _parse(fields.get(_FIELD.encode(), b""))) for entry_id, fields in entries
        ]

    @redis_errors_translated
    def remove(self, entry_ids: list[bytes]) -> None:
        self._redis.xdel(self._key, *entry_ids)


def count_arguments(event: Event, name: str, seconds: int) -> str:
    """What `event_count.lua` takes."""
    text = event.model_dump_json(exclude_none=True)
    return script_arguments(name=name, event=text, seconds=seconds, ttl=TTL)


def _parse(text: bytes | None) -> Event | None:
    """Return None for an event in the format of another version of this service."""
    try:
        return Event.model_validate_json(text or b"")
    except ValidationError:
        return None
