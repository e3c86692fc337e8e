"""How many connections there are, counted once a minute by one worker for the whole service.

`fittrack:connections` (JSON: counts by state and method, seconds that the oldest refresh is due),
and `fittrack:connections:counted`, which is there while another count would be too early. A scrape
of `/metrics` reads the first one; it never counts.
"""

import json
from dataclasses import dataclass
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.accounts.states import ConnectionState, Method
from shared.database.clock import database_now
from shared.database.engine import Database
from shared.database.models import GarminToken
from shared.redis.connection import Redis, redis_errors_translated

COUNT_INTERVAL = 60.0
"""Seconds between two counts."""

_TTL = 600
"""Seconds for which a count is shown when no worker makes another one."""


@dataclass(frozen=True)
class CountedConnections:
    """`oldest_due`: for how many seconds the refresh is due that waits longest, or 0."""

    by_state: dict[tuple[ConnectionState, Method], int]
    oldest_due: float


class ConnectionCounts:
    """Every method raises ServiceUnavailableError when Redis or the database does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis.keyspace.key("connections")

    def renew(self, database: Database) -> bool:
        """Count, unless a worker has within the last minute; return whether this one did."""
        if not self._begin():
            return False
        try:
            self._write(database.run(_count))
        except BaseException:
            self._give_up()
            raise
        return True

    @redis_errors_translated
    def read(self) -> CountedConnections | None:
        """Return the last count; None if there is none."""
        text = cast("bytes | None", self._redis.get(self._key))
        if text is None:
            return None
        counted = json.loads(text)
        return CountedConnections(
            {(ConnectionState(s), Method(m)): count for s, m, count in counted["by_state"]},
            counted["oldest_due"],
        )

    @redis_errors_translated
    def _begin(self) -> bool:
        # A little less than the interval: whoever counted does so again in time.
        seconds = int(COUNT_INTERVAL) - 5
        return bool(self._redis.set(f"{self._key}:counted", 1, nx=True, ex=seconds))

    @redis_errors_translated
    def _give_up(self) -> None:
        self._redis.delete(f"{self._key}:counted")

    @redis_errors_translated
    def _write(self, counted: CountedConnections) -> None:
        by_state = [[*labels, count] for labels, count in counted.by_state.items()]
        text = json.dumps({"by_state": by_state, "oldest_due": counted.oldest_due})
        self._redis.set(self._key, text, ex=_TTL)


def _count(session: Session) -> CountedConnections:
    """Read two indexes, and no row."""
    rows = session.execute(
        select(GarminToken.state, GarminToken.method, func.count()).group_by(
            GarminToken.state, GarminToken.method
        )
    )
    by_state = {(ConnectionState(s), Method(m)): count for s, m, count in rows}
    now = database_now(session)
    due = [
        session.scalar(select(func.min(GarminToken.refresh_due_at)).where(GarminToken.state == s))
        for s in (ConnectionState.ACTIVE, ConnectionState.EXPIRING)
    ]
    waits = [(now - moment).total_seconds() for moment in due if moment is not None]
    return CountedConnections(by_state, max(0.0, *waits, 0.0))
