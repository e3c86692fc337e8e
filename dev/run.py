"""`make dev`: the whole service on this machine, against the real Garmin, until Ctrl-C.

Its data is in `.dev-data`, which git ignores: database, Redis, logs, and the sealing key that is
made at the first start.
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from dev.embedded import embedded_stack
from dev.processes import ROOT, NotReadyError
from dev.stack import Stack, new_key

_PORT = int(os.environ.get("PORT", "8000"))


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    folder = ROOT / ".dev-data"
    folder.mkdir(mode=0o700, exist_ok=True)
    print("Starting…", flush=True)
    try:
        with embedded_stack(folder, stored_key(folder), {}, _PORT) as stack:
            greet(stack)
            return watch(stack)
    except NotReadyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
        return 0


def stored_key(folder: Path) -> str:
    """The sealing key, made once: without it, nothing stored can be opened again."""
    path = folder / "encryption-key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(new_key())
    return path.read_text(encoding="utf-8").strip()


def greet(stack: Stack) -> None:
    print(
        f"\nFitTrack Auth is up at {stack.url} (documentation at {stack.url}/docs)."
        f"\nThis talks to the real Garmin. Sign in with:\n"
        f"\n    .venv/bin/fittrack-auth login --server {stack.url}\n"
        f"\nLogs are in {stack.folder.relative_to(ROOT)}/. Ctrl-C stops everything.",
        flush=True,
    )


def watch(stack: Stack) -> int:
    """Stays until Ctrl-C, or until a process ends by itself."""
    while True:
        for process in (*stack.apis, *stack.workers):
            if not process.running:
                print(f"{process.name} ended by itself:\n{process.output()[-2000:]}", flush=True)
                return 1
        time.sleep(0.5)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
