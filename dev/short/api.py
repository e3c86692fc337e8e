"""The HTTP API with short timings: `uvicorn dev.short.api:app`."""

from api.startup import start
from dev.short import SHORT

app = start(SHORT)
