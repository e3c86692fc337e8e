"""The worker with short timings: `python -m dev.short.worker`."""

from dev.short import SHORT
from worker.command import run
from worker.program import start

app = start(SHORT)

if __name__ == "__main__":
    run(app)
