"""The worker: `celery -A worker.main worker`. Flower: `celery -A worker.main flower`."""

from shared.timings import PRODUCTION
from worker.program import start

app = start(PRODUCTION)
