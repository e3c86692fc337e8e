"""The entry point. It loads nothing heavy at the top, so that Ctrl-C is answered at any moment."""

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Runs the command line; the exit codes are in `cli.messages.ExitCode`."""
    signal.signal(signal.SIGTERM, _terminated)
    # Whatever else is installed beside us neither sees our secrets nor makes the start slow.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    try:
        from cli.commands import run

        return run()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("\nCancelled.", file=sys.stderr)
        return 130
    except Exception as bug:
        # Its text could hold anything, also a secret: name the place instead.
        print(f"This is a mistake in fittrack-auth: {_place(bug)}", file=sys.stderr)
        return 70


def _terminated(_number: int, _frame: FrameType | None) -> None:
    """As Ctrl-C, so that the terminal and the disk are left in order."""
    raise SystemExit(128 + signal.SIGTERM)


def _place(bug: BaseException) -> str:
    at = bug.__traceback__
    while at and at.tb_next:
        at = at.tb_next
    where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else "somewhere"
    return f"{type(bug).__name__} at {where}"
