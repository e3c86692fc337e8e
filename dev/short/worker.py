"""The worker with short timings: `celery -A dev.short.worker worker`."""

from dev.short import SHORT
from worker.program import start

app = start(SHORT)
