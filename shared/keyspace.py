"""The names of keys, channels and queues in Redis."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KeySpace:
    """The names of one deployment: each begins with its prefix, `FITTRACK_REDIS_PREFIX`."""

    prefix: str = "fittrack"

    def key(self, *parts: str) -> str:
        """`key("job", job_id)` → `fittrack:job:<id>`; for channels as well."""
        return ":".join((self.prefix, *parts))

    @property
    def celery(self) -> str:
        """What Celery's transport puts before the names of its queues, channels and other keys."""
        return self.key("celery", "")
