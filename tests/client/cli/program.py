"""The command line, run as a person or a script would run it."""

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from fittrack_auth_client.cli.main import main

EXECUTABLE = str(Path(sys.prefix) / "bin" / "fittrack-auth")
PASSWORD = "correct horse battery staple"
DEADLINE = 90


@dataclass(frozen=True)
class Result:
    exit_code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, object]:
        error = self.objects[-1]["error"]
        assert isinstance(error, dict)
        return error


class Program:
    """With a home of its own, and nothing of this machine's proxies and certificates."""

    def __init__(self, home: Path, server: str) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "FITTRACK_SERVER": server,
            "TERM": "xterm-256color",
            "COLUMNS": "100",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }

    @property
    def session_file(self) -> Path:
        return self.home / "config" / "fittrack-auth" / "session.json"

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Result:
        """In this process: what matters of another one are its streams and its environment."""
        out, err = _stream(), _stream()
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as lines,
            mock.patch.dict(os.environ, self.environment | environment, clear=True),
            mock.patch.multiple(sys, argv=["fittrack-auth", *arguments], stdin=lines),
            mock.patch.multiple(sys, stdout=out, stderr=err),
            _signal_handlers_kept(),
        ):
            lines.write(stdin)
            lines.seek(0)
            exit_code = _run_main()
        return Result(exit_code, _written(out), _written(err))

    def run_process(self, *arguments: str, stdin: str = "") -> Result:
        """In a process of its own, where that is what matters."""
        done = subprocess.run(
            [EXECUTABLE, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=self.environment,
            timeout=DEADLINE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def login(self, *arguments: str, lines: tuple[str, ...] = (PASSWORD,)) -> Result:
        stdin = "".join(f"{line}\n" for line in lines)
        return self.run(
            "login", "--username", "runner@example.com", "--password-stdin", *arguments, stdin=stdin
        )

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A running process, with standard input open. Answers SIGINT even where this one does
        not.
        """
        with interruptible():
            process = subprocess.Popen(
                [EXECUTABLE, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=self.environment,
            )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()


@contextmanager
def interruptible() -> Iterator[None]:
    """A process inherits that SIGINT is ignored, but not that it is handled."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def finished(process: subprocess.Popen[str]) -> Result:
    out, err = process.communicate(timeout=DEADLINE)
    return Result(process.returncode, out, err)


def _run_main() -> int:
    try:
        return main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
