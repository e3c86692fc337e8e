"""The worker: `python -m worker`, which is `celery -A worker.main worker` in less memory."""

from worker.command import run
from worker.main import app

run(app)
