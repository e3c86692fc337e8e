"""What API, workers and the operator's commands share."""

import os

from shared.imports import absent

# garth brings logfire, and logfire a plugin that pydantic loads into every process: it costs 15 MB
# and a second at the start, and could watch what our models validate.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

# Telemetry and tracebacks in colour, which nothing here uses, cost 6 MB a process.
with absent("opentelemetry", "rich"):
    import redis  # noqa: F401
    import structlog  # noqa: F401
