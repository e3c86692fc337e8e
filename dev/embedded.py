"""The service with nothing installed but Python: SQLite, and a Redis that comes as a wheel."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dev.servers import RedisServer
from dev.stack import Stack


@contextmanager
def embedded_stack(
    folder: Path, settings: Mapping[str, str], garmin: Mapping[str, str], port: int | None = None
) -> Iterator[Stack]:
    """Run the API and one worker, with their data in `folder`.

    `settings` are FITTRACK_… variables. A Redis is started, and a SQLite file made, only where
    they name none.
    """
    settings = dict(settings)
    with ExitStack() as exit:
        if not is_set("FITTRACK_REDIS_URL", settings):
            redis = exit.enter_context(RedisServer(folder))
            settings["FITTRACK_REDIS_URL"] = redis.url
        if not is_set("FITTRACK_DATABASE_URL", settings):
            settings["FITTRACK_DATABASE_URL"] = f"sqlite:///{folder / 'fittrack.db'}"
        stack = exit.enter_context(Stack(folder, settings, garmin, port))
        yield stack.start()


def is_set(name: str, settings: Mapping[str, str]) -> bool:
    """Whether the setting is given, as a value or as the name of a file."""
    return name in settings or f"{name}_FILE" in settings
