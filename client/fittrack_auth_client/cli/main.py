"""The entry point. It imports nothing slow at the top, so that Ctrl-C works from the start."""

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the command line; return an exit code (`messages.ExitCode`)."""
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    # typer loads pydantic, which would load any plugin that is installed: slow, and near secrets.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    try:
        from fittrack_auth_client.cli.commands import run

        return run()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("\nCancelled.", file=sys.stderr)
        return 130
    except Exception as bug:
        # Its text could hold anything, also a secret: name the place instead.
        print(f"This is a bug in fittrack-auth: {_place(bug)}", file=sys.stderr)
        return 70


def _exit_on_sigterm(_number: int, _frame: FrameType | None) -> None:
    """As after Ctrl-C, so that the terminal and the disk are left in order."""
    raise SystemExit(128 + signal.SIGTERM)


def _place(bug: BaseException) -> str:
    at = bug.__traceback__
    while at and at.tb_next:
        at = at.tb_next
    where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else "an unknown place"
    return f"{type(bug).__name__} at {where}"
