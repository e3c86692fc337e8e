"""Requests of apps for tokens: counted against the app's limit, and recorded."""

from shared.audit.events import Event, EventKind
from shared.audit.outbox import EventOutbox, count_arguments
from shared.broker.tokens import Connection
from shared.origin import Origin
from shared.redis.rate_limits import RateLimit, RateLimitedError, Standing

_EVENT_SECONDS = 60
"""Within which a token that is handed out again is the same event, with a count."""


class TokenReads:
    """`limit` is for each app. Methods raise ServiceUnavailableError if Redis does not answer.

    Where a token is fresh, `token_read.lua` counts and records it in one step: `step` is for who
    runs that script, and `judge` for its answer.
    """

    SCRIPT = (__package__, "token_read")

    def __init__(self, events: EventOutbox, limit: RateLimit) -> None:
        self._events = events
        self._limit = limit

    def hit(self, origin: Origin) -> None:
        """Count a request. Raises RateLimitedError."""
        self._limit.hit(str(origin.client_id))

    def record(self, origin: Origin, connection: Connection) -> None:
        """Record who gets a token: repeated ones within a minute are one event with a count."""
        event, name = _event(origin, connection)
        self._events.add_counted(event, name, _EVENT_SECONDS)

    def record_refusal(self, origin: Origin, refusal: RateLimitedError) -> None:
        """Record once a minute that an app asks too often."""
        limit = refusal.standing.limit
        event = Event.of(EventKind.RATE_LIMITED, origin, limit)
        self._events.add_once(event, f"{limit}:{origin.client_id}", _EVENT_SECONDS)

    def step(self, origin: Origin, connection: Connection) -> tuple[list[str], list[str]]:
        """Return the keys and the arguments of the script that does both."""
        event, name = _event(origin, connection)
        keys = [*self._limit.keys(str(origin.client_id)), *self._events.count_keys(name)]
        return keys, [self._limit.hit_arguments(), count_arguments(event, name, _EVENT_SECONDS)]

    def judge(self, answer: list[object]) -> Standing:
        """Raise RateLimitedError if the script found the limit reached, and recorded nothing."""
        return self._limit.judge(answer)


def _event(origin: Origin, connection: Connection) -> tuple[Event, str]:
    stored = connection.stored
    event = Event.of(EventKind.TOKENS_READ, origin, "1", user_id=stored.user_id)
    return event, f"{origin.client_id or 'session'}:{stored.id}"
