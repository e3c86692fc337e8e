"""Child processes: start them, wait until they are ready, stop them."""

import fcntl
import os
import pwd
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType
from typing import Protocol, Self

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 90.0
_STOP_SECONDS = 15.0


class NotReadyError(RuntimeError):
    """A process ended, or took too long, before it was ready. The text says which, and why."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free.

    No other call returns it while this process runs, here or in another process of this user. None
    of the ports that systems give to outgoing connections: one of them could take it at once.
    """
    while True:
        port = 12_000 + secrets.randbelow(20_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if _reserve(port):
                return port


_reserved: set[int] = set()


@cache
def _reservations() -> int:
    """Open a file whose byte N is locked by the process that has reserved port N."""
    path = Path(tempfile.gettempdir()) / f"fittrack-ports-{os.getuid()}.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _reserve(port: int) -> bool:
    if port in _reserved:
        return False
    file = _reservations()
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # which of them, depends on the system
        return False
    _reserved.add(port)
    return True


def clean_environment(settings: Mapping[str, str] = {}) -> dict[str, str]:
    """Return our environment without settings of the service and of garth, plus `settings`."""
    prefixes = ("FITTRACK_", "GARTH_")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(prefixes)}
    return kept | dict(settings)


def interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP too, so that children are stopped."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


class Child(Protocol):
    """A started program, in a process group of its own. `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


Launch = Callable[[list[str], Mapping[str, str], Path], Child]
"""Starts a command with an environment and a log file that it appends to."""


def launch(
    command: list[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    user: pwd.struct_passwd | None = None,
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user and user.pw_uid,
            group=user and user.pw_gid,
            extra_groups=user and (),
        )


class Process:
    """One child in a process group of its own, writing to a log file."""

    stop_signal = signal.SIGTERM

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str],
        ready: Callable[["Process"], bool],
        *,
        launch: Launch = launch,
    ) -> None:
        self.name = name
        self.log = log
        self._ready = ready
        self._mark = log.stat().st_size if log.exists() else 0
        self._child = launch([str(part) for part in command], environment, log)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._child.poll()

    def output(self) -> str:
        """Return what this process has written, without what earlier ones left in the same log."""
        return self.log.read_bytes()[self._mark :].decode(errors="replace")

    def wait_ready(self) -> Self:
        """Wait until it is ready. Raises NotReadyError, with the end of its log."""
        ends_at = time.monotonic() + _START_SECONDS
        while time.monotonic() < ends_at:
            if not self.running:
                break
            if self._ready(self):
                return self
            time.sleep(0.05)
        message = f"{self.name} did not get ready:\n{self.output()[-4000:]}"
        self.stop()
        raise NotReadyError(message)

    def stop(self, seconds: float = _STOP_SECONDS) -> int | None:
        """Ask it to end, and kill it if it has not after `seconds`. Return its exit code."""
        self.signal(self.stop_signal)
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._child.poll()

    def kill(self) -> None:
        """Send SIGKILL to it and to all its children."""
        self.signal(signal.SIGKILL)
        self._child.wait()

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                self._child.wait()

    def wait(self, seconds: float) -> int:
        """Wait until it has ended. Raises subprocess.TimeoutExpired."""
        return self._child.wait(seconds)

    def __enter__(self) -> Self:
        return self.wait_ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def answers_on(port: int) -> Callable[[Process], bool]:
    """Take a process as ready when something accepts connections on the port."""

    def ready(_: Process) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ready


def says(text: str) -> Callable[[Process], bool]:
    """Take a process as ready when its log contains `text`."""
    return lambda process: text in process.output()
