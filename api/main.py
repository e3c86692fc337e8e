"""The ASGI application that `python -m api` serves."""

from api.startup import start
from shared.timings import PRODUCTION

app = start(PRODUCTION)
