"""Code shared by the API, the workers and the operator's commands."""

import os

from shared.imports import absent, unused, without_init

# garth depends on logfire, whose plugin pydantic would load into every process. It takes 15 MB and
# a second at startup, and could observe the values that our models validate.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

# What these libraries import if it is there, and nothing here uses, costs 10 MB a process.
with (
    absent("greenlet", "opentelemetry", "rich", "tornado"),
    unused("redis.cluster", "redis.keyspace_notifications"),
    without_init("redis.asyncio"),
):
    import redis  # noqa: F401
    import structlog  # noqa: F401
    import tenacity  # noqa: F401
