"""What apps ask for tokens: read, counted against the app's limit, and recorded."""

from dataclasses import dataclass

from shared.audit.events import Event, EventKind
from shared.audit.outbox import EventOutbox, count_arguments
from shared.broker.tokens import Connection, TokenBroker, Wanted, is_fresh, requires_sign_in
from shared.database.reads import Reads
from shared.origin import Origin
from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.redis.rate_limits import RateLimit, RateLimitedError

_EVENT_SECONDS = 60
"""Within which a token that is handed out again is the same event, with a count."""


@dataclass(frozen=True)
class ClientRead:
    """What an app has asked for. `is_recorded`: its token is fresh, and may be handed out now."""

    origin: Origin
    connection: Connection
    is_recorded: bool


class TokenRequests:
    """`limit` is for each app. Every method raises ServiceUnavailableError."""

    def __init__(self, redis: Redis, reads: Reads, broker: TokenBroker, limit: RateLimit) -> None:
        self._reads = reads
        self._broker = broker
        self._limit = limit
        self._events = EventOutbox(redis)
        self._read = LuaScript(redis, __package__, "token_read")

    def read(self, key: str, client_user_id: str, origin: Origin, wanted: Wanted) -> ClientRead:
        """Read a connection; a fresh token is counted and recorded in one step.

        Raises RateLimitedError, and what `TokenBroker.of_client` raises.
        """
        client_id, connection = self._broker.of_client(self._reads, key, client_user_id)
        of_client = {"client_id": client_id, "client_user_id": client_user_id}
        origin = origin.model_copy(update=of_client)
        fresh = not requires_sign_in(connection) and is_fresh(connection, wanted)
        try:
            if fresh:
                self._hit_and_record(origin, connection)
            else:
                self._limit.hit(str(client_id))
        except RateLimitedError as refusal:
            self._record_refusal(origin, refusal)
            raise
        return ClientRead(origin, connection, fresh)

    def close(self) -> None:
        self._reads.close()

    def record(self, origin: Origin, connection: Connection) -> None:
        """Record who gets a token: repeated ones within a minute are one event with a count."""
        event, name = _event(origin, connection)
        self._events.add_counted(event, name, _EVENT_SECONDS)

    @redis_errors_translated
    def _hit_and_record(self, origin: Origin, connection: Connection) -> None:
        event, name = _event(origin, connection)
        keys = [*self._limit.keys(str(origin.client_id)), *self._events.count_keys(name)]
        count = count_arguments(event, name, _EVENT_SECONDS)
        self._limit.judge(self._read.run(keys, self._limit.hit_arguments(), count))

    def _record_refusal(self, origin: Origin, refusal: RateLimitedError) -> None:
        limit = refusal.standing.limit
        event = Event.of(EventKind.RATE_LIMITED, origin, limit)
        self._events.add_once(event, f"{limit}:{origin.client_id}", _EVENT_SECONDS)


def _event(origin: Origin, connection: Connection) -> tuple[Event, str]:
    stored = connection.stored
    event = Event.of(EventKind.TOKENS_READ, origin, "1", user_id=stored.user_id)
    return event, f"{origin.client_id or 'session'}:{stored.id}"
