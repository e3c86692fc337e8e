"""Flower, as `celery -A worker.main flower` starts it."""

import errno
import os
import sys
from types import TracebackType


def prepare() -> None:
    """Set up what Flower's own options can't; it does nothing for a worker."""
    # In the list of tasks, a sign-in that Garmin refused is a finished task too.
    os.environ.setdefault("FLOWER_TASKS_COLUMNS", "name,uuid,state,result,received,runtime,worker")
    if "flower.views.monitor" in sys.modules:  # the `celery` program has loaded it
        _protect_metrics()
    _explain_port_in_use()


def _protect_metrics() -> None:
    """Ask for the password at `/metrics` as well, which Flower leaves open."""
    from flower.views.monitor import Metrics  # type: ignore[import-untyped]
    from tornado.web import authenticated

    Metrics.get = authenticated(Metrics.get)


def _explain_port_in_use() -> None:
    """Let Flower end with one line if its port is taken; it raises an OSError without the port."""
    log = sys.excepthook

    def explain(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            from tornado.options import options

            text = f"port {options.port} is in use: choose another one with --port"
            print(f"fittrack-auth flower: {text}", file=sys.stderr)
        else:
            log(kind, error, traceback)

    sys.excepthook = explain
