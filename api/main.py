"""The HTTP API: `uvicorn api.main:app`."""

from api.startup import start
from shared.timings import PRODUCTION

app = start(PRODUCTION)
