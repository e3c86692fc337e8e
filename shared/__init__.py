"""What API, workers and the operator's commands share."""

import os

# garth brings logfire, and logfire a plugin that pydantic loads into every process: it costs 15 MB
# and a second at the start, and could watch what our models validate.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
