"""The service with nothing installed but Python: SQLite, and fakeredis where there is no Redis."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.servers import FakeRedisServer, RedisServer
from dev.stack import Stack


@contextmanager
def embedded_stack(
    folder: Path, keys: str, garmin: Mapping[str, str], port: int | None = None
) -> Iterator[Stack]:
    """API and one worker, running; all of their data is in `folder`."""
    server = RedisServer(folder) if RedisServer.installed() else FakeRedisServer(folder)
    with server:
        settings = {
            "FITTRACK_REDIS_URL": server.url,
            "FITTRACK_DATABASE_URL": f"sqlite:///{folder / 'fittrack.db'}",
            "FITTRACK_ENCRYPTION_KEYS": keys,
        }
        with Stack(folder, settings, garmin, port) as stack:
            yield stack.start()
