"""The health check of a worker: `python -m worker.health`.

Exits with 0 if the worker's heartbeat file is fresh, else with 1 and one line that says why not.
Imports the standard library alone: it runs every few seconds.
"""

import os
import stat
import sys
import tempfile
import time
from pathlib import Path

MAX_AGE = 30.0
"""Seconds without a heartbeat after which a worker counts as dead."""


def heartbeat_file() -> Path:
    """Return where the worker writes its heartbeat."""
    name = os.environ.get("FITTRACK_HEARTBEAT_FILE")
    return Path(name) if name else Path(tempfile.gettempdir()) / "fittrack-worker-heartbeat"


def fault(path: Path) -> str | None:
    """Return what is wrong with the heartbeat, or None."""
    try:
        state = path.lstat()
    except OSError as error:
        return f"no heartbeat: {path}: {error.strerror}"
    if not stat.S_ISREG(state.st_mode):  # somebody else's: a worker makes a file
        return f"no heartbeat: {path} is no file"
    age = time.time() - state.st_mtime
    if age > MAX_AGE:
        return f"no heartbeat for {age:.0f} seconds: {path}"
    return None


def main() -> int:
    problem = fault(heartbeat_file())
    if problem is None:
        return 0
    print(f"fittrack-auth worker: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
