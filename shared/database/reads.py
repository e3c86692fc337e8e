"""Single SELECTs that cost no round trip but their own."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.database.engine import make_engine, translated
from shared.timings import PRODUCTION, Timings


class Reads:
    """Connections of their own, up to `connections`, without transactions and pings.

    Where a connection turns out to be lost, the SELECT is sent once more, on a new one.
    """

    def __init__(self, url: str, timings: Timings = PRODUCTION, connections: int = 8) -> None:
        half = max(1, connections // 2)  # as many come and go
        self._engine = make_engine(url, timings, half, single_statements=True, ping=False)

    def first(self, query: Select[Any], values: Mapping[str, object]) -> Row[Any] | None:
        """Return the first row, if there is one. Raises ServiceUnavailableError."""
        try:
            try:
                return self._first(query, values)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._first(query, values)
        except (DBAPIError, PoolTimeoutError) as error:
            raise translated(error) from None

    def _first(self, query: Select[Any], values: Mapping[str, object]) -> Row[Any] | None:
        with self._engine.connect() as connection:
            return connection.execute(query, values).first()

    def close(self) -> None:
        self._engine.dispose()
