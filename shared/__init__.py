"""What API, workers and the operator's commands share."""

import os

from shared.imports import absent

# garth brings logfire, and logfire a plugin that pydantic loads into every process: it costs 15 MB
# and a second at the start, and could watch what our models validate.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

# What these libraries import if it is there, and nothing here uses, costs 10 MB a process.
with absent("opentelemetry", "rich", "tornado"):
    import redis  # noqa: F401
    import structlog  # noqa: F401
    import tenacity  # noqa: F401
