"""Logging for every process: one handler, one format, one redaction point.

Lines logged through `logging` and through structlog pass the same processors. Each line has the ids
of the request and of the job that it is about, if any.
"""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from shared.logs.context import current_ids
from shared.logs.redaction import redact

_JSON = json.JSONEncoder(default=repr)
_UNCAUGHT = logging.getLogger("uncaught")


def configure_logging(level: int | str, form: str, stream: TextIO | None = None) -> None:
    """Configure all logging of this process. `form` is `json`, `console` or `auto`.

    `auto` means `console` on a terminal and `json` elsewhere. The default stream is stderr. May be
    called again.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _Formatter(
            processors=[_describe, redact, *_renderers(form, terminal)],
            use_get_message=False,  # the text and its arguments are put together by `redact`
            pass_foreign_args=True,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    _omit_unused_fields()
    _take_over_uvicorn()
    _take_over_python()


class _Formatter(ProcessorFormatter):
    """Renders lines logged through `logging` without the copies that the library makes of them."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, dict):  # structlog's
            return super().format(record)
        event: EventDict = {
            "event": record.msg,
            "_record": record,
            "_from_structlog": False,
            "positional_args": record.args,
            "exc_info": record.exc_info,
        }
        line: Any = event
        for process in self.processors:
            line = process(None, "", line)
        return str(line)


def _renderers(form: str, terminal: bool) -> list[Processor]:
    if form == "json" or (form == "auto" and not terminal):
        return [lambda _, __, event: _JSON.encode(event)]
    return [
        structlog.dev.ConsoleRenderer(
            colors=terminal,
            timestamp_key="time",
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,  # it is given text, no exception
        )
    ]


def _describe(_: object, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    about = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event["event"],
        **current_ids(),
    }
    task = getattr(record, "data", None)
    if record.name.startswith("celery.") and isinstance(task, dict) and "id" in task:
        about["job_id"] = task["id"]  # a task has its job's id
    return {**about, **event}


def _omit_unused_fields() -> None:
    """Skip what `logging` looks up for each line and no line shows."""
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False


def _take_over_uvicorn() -> None:
    """Route uvicorn's loggers, configured before it imports the application, to our handler."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        if logger.handlers:  # none with --no-access-log
            logger.handlers.clear()
            logger.propagate = True
        if logger.level == logging.INFO:  # uvicorn's default
            logger.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.error").addFilter(_explain_bind_error)


def _explain_bind_error(record: logging.LogRecord) -> bool:
    """Keep the text of an OSError that uvicorn logs: it holds only our own address."""
    if isinstance(record.msg, OSError):
        record.msg = f"can't listen: {record.msg.strerror}"
    return True


def _take_over_python() -> None:
    """Log what Python itself would write to stderr."""
    logging.raiseExceptions = False  # it would print the failed line with its arguments
    logging.captureWarnings(True)
    sys.excepthook = lambda _, error, __: _uncaught(error)
    threading.excepthook = lambda args: _uncaught(args.exc_value)
    sys.unraisablehook = lambda args: _uncaught(args.exc_value)


def _uncaught(error: BaseException | None) -> None:
    if not isinstance(error, KeyboardInterrupt | SystemExit):
        _UNCAUGHT.critical("uncaught exception", exc_info=error)
