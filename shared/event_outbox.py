"""Events on their way to the database, which may be away while Redis is there.

`fittrack:events` (stream) is written in the same step as the job it tells of, and emptied into the
database by every worker. An event may be brought twice, by two workers or after a crash; its id
lets the database keep it once. `fittrack:events:told:<name>`: such an event was added just now.
"""

import logging
from typing import Any, cast

from pydantic import ValidationError
from redis import Redis
from sqlalchemy.exc import SQLAlchemyError

from shared.database import Database
from shared.events import Event, EventLog
from shared.redis_connection import redis_errors_translated

KEY = "fittrack:events"
SECONDS = 7 * 86_400
MOST = 100_000
"""Events that may wait, some 40 MB; beyond that the oldest are lost."""

_FIELD = "event"

_log = logging.getLogger(__name__)


class EventOutbox:
    """Every method raises ServiceUnavailableError when Redis, or the database, does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @redis_errors_translated
    def add(self, event: Event) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            fields: dict[Any, Any] = {_FIELD: event.model_dump_json(exclude_none=True)}
            pipe.xadd(KEY, fields, maxlen=MOST, approximate=True)
            pipe.expire(KEY, SECONDS)
            pipe.execute()

    @redis_errors_translated
    def add_once(self, event: Event, name: str, seconds: int) -> None:
        """Adds it, if none with this name was added for so many seconds."""
        if self._redis.set(f"{KEY}:told:{name}", 1, nx=True, ex=seconds):
            self.add(event)

    def empty_into(self, database: Database, most: int = 200) -> int:
        """Brings up to `most` of the oldest to the database. How many there were."""
        entries = self._oldest(most)
        if entries:
            events = [event for _, text in entries if (event := _parsed(text)) is not None]
            _bring(events, database)
            self._forget([entry_id for entry_id, _ in entries])
        return len(entries)

    @redis_errors_translated
    def _oldest(self, most: int) -> list[tuple[bytes, bytes]]:
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", self._redis.xrange(KEY, count=most))
        return [(entry_id, fields.get(_FIELD.encode(), b"")) for entry_id, fields in found]

    @redis_errors_translated
    def _forget(self, entry_ids: list[bytes]) -> None:
        self._redis.xdel(KEY, *entry_ids)


def _bring(events: list[Event], database: Database) -> None:
    """All of them; one by one if the database refuses one, which is dropped and told of."""
    try:
        database.run(lambda session: EventLog(session).append_missing(events))
    except SQLAlchemyError:
        if len(events) == 1:
            _log.error("event %s can't be stored", events[0].id)  # noqa: TRY400, RUF100
            return
        for event in events:
            _bring([event], database)


def _parsed(text: bytes) -> Event | None:
    """None for what another version of this service has written, and this one can't read."""
    try:
        return Event.model_validate_json(text)
    except ValidationError:
        return None
