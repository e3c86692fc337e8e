"""The real program, run as a person or a script would run it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
        done = subprocess.run(
            [EXECUTABLE, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=self.environment | environment,
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
        """A running one, with standard input open. Answers SIGINT even where this run does not."""
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
