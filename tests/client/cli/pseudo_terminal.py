"""A person at a terminal: sees what is printed, types when asked."""

import os
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.client.cli.program import DEADLINE, EXECUTABLE, Program, interruptible

# The child takes its standard input as its controlling terminal, then becomes the program.
_LAUNCH = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class PseudoTerminal:
    def __init__(self, process: subprocess.Popen[bytes], ours: int, theirs: int) -> None:
        self.process = process
        self._ours = ours
        self._theirs = theirs
        self._printed = b""
        self._expected_up_to = 0

    @property
    def raw(self) -> str:
        return self._printed.decode(errors="replace")

    @property
    def text(self) -> str:
        return _CONTROL.sub("", self.raw).replace("\r\n", "\n")

    def expect(self, text: str) -> None:
        """Waits until `text` is printed, after what was expected last."""
        until = time.monotonic() + DEADLINE
        while text not in self.text[self._expected_up_to :]:
            left = until - time.monotonic()
            assert left > 0, f"{text!r} was not printed: {self.text!r}"
            self._read(min(left, 1))
        self._expected_up_to = self.text.index(text, self._expected_up_to) + len(text)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def exit_code(self) -> int:
        """Reads on until it has ended: a full terminal would block it."""
        until = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            assert time.monotonic() < until, self.text
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    @property
    def shows_what_is_typed(self) -> bool:
        local_modes: int = termios.tcgetattr(self._theirs)[3]
        return bool(local_modes & termios.ECHO)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if ready:
            self._printed += os.read(self._ours, 65536)
        return bool(ready)


def terminal(program: Program, *arguments: str) -> AbstractContextManager[PseudoTerminal]:
    return terminal_with(program, EXECUTABLE, *arguments)


@contextmanager
def terminal_with(program: Program, *command: str) -> Iterator[PseudoTerminal]:
    ours, theirs = os.openpty()
    try:
        with interruptible():
            process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCH, *command],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=program.environment,
                start_new_session=True,
            )
        with process:
            try:
                yield PseudoTerminal(process, ours, theirs)
            finally:
                if process.poll() is None:
                    process.kill()
    finally:
        os.close(ours)
        os.close(theirs)
