"""The worker: `python -m worker`. Flower: `celery -A worker.main flower`."""

from shared.timings import PRODUCTION
from worker.program import start

app = start(PRODUCTION)
