"""The service with nothing installed but Python: SQLite, and a Redis that comes as a wheel."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.servers import RedisServer
from dev.stack import Stack


@contextmanager
def embedded_stack(
    folder: Path, keys: str, garmin: Mapping[str, str], port: int | None = None
) -> Iterator[Stack]:
    """API and one worker, running; all of their data is in `folder`."""
    with RedisServer(folder) as redis:
        settings = {
            "FITTRACK_REDIS_URL": redis.url,
            "FITTRACK_DATABASE_URL": f"sqlite:///{folder / 'fittrack.db'}",
            "FITTRACK_ENCRYPTION_KEYS": keys,
        }
        with Stack(folder, settings, garmin, port) as stack:
            yield stack.start()
