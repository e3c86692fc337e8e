"""The service's logging inside a test, and how it was before."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from shared.logs.configuration import configure_logging

_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")


@contextmanager
def kept_logging() -> Iterator[None]:
    """Whatever the block does to logging is undone."""
    names = (None, *_UVICORN)
    before = {
        logger: (list(logger.handlers), logger.level, logger.propagate)
        for logger in map(logging.getLogger, names)
    }
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    try:
        yield
    finally:
        for logger, (handlers, level, propagate) in before.items():
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.propagate = propagate
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
        logging.raiseExceptions = True
        logging.captureWarnings(False)
        structlog.reset_defaults()


@contextmanager
def captured_logs(level: str = "DEBUG", form: str = "json") -> Iterator[io.StringIO]:
    """What the service's logging writes while the block runs."""
    stream = io.StringIO()
    with kept_logging():
        configure_logging(level, form, stream)
        yield stream


def parsed(text: str) -> list[dict[str, Any]]:
    """Every line, which has to be a JSON object."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines
