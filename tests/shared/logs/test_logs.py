"""One format for everything that is logged, with the ids of what it is about."""

import asyncio
import gc
import io
import json
import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from dev.processes import ROOT
from shared.logs.configuration import configure_logging
from shared.logs.context import bind_job, job_context, request_context
from tests.logs import captured_logs, kept_logging, parsed

plain = logging.getLogger("some.package")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_each_line_is_one_json_object_whoever_logs() -> None:
    before = datetime.now(UTC)
    with captured_logs() as written:
        plain.warning("two\nlines of %s", "it")
        structlog.get_logger("ours").info("bound", number=1)
    first, second = parsed(written.getvalue())
    time = datetime.fromisoformat(first.pop("time"))
    assert time.utcoffset() == timedelta(0)
    assert before - timedelta(milliseconds=1) <= time <= datetime.now(UTC)
    assert first == {"level": "warning", "logger": "some.package", "event": "two\nlines of it"}
    assert list(second) == ["time", "level", "logger", "event", "number"]
    assert (second["logger"], second["number"]) == ("ours", 1)


@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        ("auto", io.StringIO, True),
        ("auto", Terminal, False),
        ("json", Terminal, True),
        ("console", io.StringIO, False),
    ],
)
def test_it_is_readable_on_a_terminal_and_json_elsewhere(
    form: str, stream: type[io.StringIO], is_json: bool
) -> None:
    written = stream()
    with kept_logging(), job_context("job-1"):
        configure_logging("INFO", form, written)
        plain.info("hello")
    text = written.getvalue()
    assert ("\x1b[" in text) == (not is_json and stream is Terminal)
    if is_json:
        assert json.loads(text)["job_id"] == "job-1"
    else:
        assert "hello" in text
        assert "job-1" in text
        assert not text.startswith("{")


def test_lines_below_the_level_are_left_out() -> None:
    with captured_logs("WARNING") as written:
        plain.info("not this")
        structlog.get_logger("ours").info("nor this")
        plain.warning("this")
        structlog.get_logger("ours").error("and this")
    assert [line["event"] for line in parsed(written.getvalue())] == ["this", "and this"]


def test_configuring_again_does_not_write_twice() -> None:
    written = io.StringIO()
    with captured_logs() as replaced:
        configure_logging("INFO", "json", written)
        plain.debug("not this")
        plain.info("once")
    assert [line["event"] for line in parsed(written.getvalue())] == ["once"]
    assert replaced.getvalue() == ""


# ---- Ids --------------------------------------------------------------------------------------


def test_lines_have_the_ids_of_what_they_are_about_and_no_others() -> None:
    with captured_logs() as written:
        plain.info("before")
        with request_context("request-1"):
            plain.info("asked")
            bind_job("job-1")
            structlog.get_logger("ours").info("submitted")
        plain.info("between")
        with job_context("job-1", "request-1"):
            plain.info("runs")
            with job_context("job-2"):
                plain.info("inner")
            plain.info("runs on")
        plain.info("after")
    lines = {line["event"]: line for line in parsed(written.getvalue())}
    ids = {name: (line.get("request_id"), line.get("job_id")) for name, line in lines.items()}
    assert ids == {
        "before": (None, None),
        "asked": ("request-1", None),
        "submitted": ("request-1", "job-1"),
        "between": (None, None),
        "runs": ("request-1", "job-1"),
        "inner": ("request-1", "job-2"),
        "runs on": ("request-1", "job-1"),
        "after": (None, None),
    }
    assert "request_id" not in lines["before"]


def test_a_request_does_not_begin_with_what_the_one_before_it_was_about() -> None:
    """uvicorn starts a connection's next request in the context of the one before."""

    async def second() -> None:
        with request_context("request-2"):
            plain.info("second")

    async def first() -> None:
        with request_context("request-1"):
            bind_job("job-1")
            await asyncio.create_task(second())

    with captured_logs("INFO") as written:
        asyncio.run(first())
    [line] = parsed(written.getvalue())
    assert line["request_id"] == "request-2"
    assert "job_id" not in line


def test_celerys_lines_about_a_task_have_its_jobs_id() -> None:
    with captured_logs() as written:
        data = {"id": "job-1", "name": "garmin.login"}
        celery = logging.getLogger("celery.app.trace")
        celery.info("Task %(name)s[%(id)s] received", data, extra={"data": data})
        celery.info("no task", extra={"data": "x"})
        plain.info("another's", extra={"data": data})
    lines = parsed(written.getvalue())
    assert [line.get("job_id") for line in lines] == ["job-1", None, None]
    assert lines[0]["event"] == "Task garmin.login[job-1] received"


# ---- What others set up -----------------------------------------------------------------------


def test_uvicorns_loggers_are_taken_over_as_it_was_asked_to_set_them_up() -> None:
    its = {name: logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")}
    uvicorns_own = io.StringIO()
    with kept_logging():
        its["uvicorn"].setLevel(logging.INFO)
        its["uvicorn"].propagate = False
        its["uvicorn"].addHandler(logging.StreamHandler(uvicorns_own))
        its["uvicorn.error"].setLevel(5)  # --log-level trace
        its["uvicorn.access"].setLevel(logging.INFO)
        its["uvicorn.access"].propagate = False  # --no-access-log
        with captured_logs("WARNING") as written:
            its["uvicorn"].info("less than was asked for")
            its["uvicorn.error"].log(5, "a trace")
            its["uvicorn.access"].warning("switched off")
    assert [line["event"] for line in parsed(written.getvalue())] == ["a trace"]
    assert uvicorns_own.getvalue() == ""


HOOKS = """
import sys, threading
from shared.logs.configuration import configure_logging
configure_logging("INFO", "json")
class Broken:
    def __del__(self): raise ValueError("canary-of-del")
Broken()
thread = threading.Thread(target=lambda: int("canary-of-thread"))
thread.start(); thread.join()
raise LookupError("canary-of-main")
"""


def test_what_nobody_caught_is_told_without_its_text() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HOOKS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "canary" not in ended.stderr
    lines = parsed(ended.stderr)
    assert [line["exception"].partition(" at ")[0] for line in lines] == [
        "ValueError",
        "ValueError",
        "LookupError",
    ]


def test_what_was_configured_for_a_test_is_gone_after_it() -> None:
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    with captured_logs() as written:
        assert sys.excepthook is not hooks[0]
    plain.critical("elsewhere")
    gc.collect()
    assert written.getvalue() == ""
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == hooks
