"""The HTTP API with short timings: `python -m dev.short.serve`."""

from api.startup import start
from dev.short import SHORT

app = start(SHORT)
