"""Where answers come from: the person at the terminal, or lines on standard input."""

import contextlib
import getpass
import os
import select
import sys
import warnings
from collections.abc import Iterator

from pydantic import SecretStr

from cli.codes import Code
from cli.patience import Deadline
from cli.trouble import Cancelled, Trouble

PIPE_SECONDS = 300.0
LONGEST_LINE = 1 << 16


class Lines:
    """Whole lines from a file descriptor, each with a deadline."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = b""

    def next(self, deadline: Deadline) -> str | None:
        """A line without its end; None at the end of input. Raises `TimeoutError`."""
        while b"\n" not in self._read:
            piece = self._piece(deadline)
            if not piece:
                return self._rest()
            self._read += piece
            if len(self._read) > LONGEST_LINE:
                raise Trouble(Code.BAD_INPUT, detail="a line of input is too long")
        line, _, self._read = self._read.partition(b"\n")
        return _text(line)

    def _piece(self, deadline: Deadline) -> bytes:
        ready, _, _ = select.select([self._descriptor], [], [], deadline.left)
        if not ready:
            raise TimeoutError
        return os.read(self._descriptor, 4096)

    def _rest(self) -> str | None:
        rest, self._read = self._read, b""
        return _text(rest) if rest else None


def _text(line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise Trouble(Code.BAD_INPUT, detail="the input is not UTF-8") from None


class Person:
    """Someone at a terminal. Questions stay out of standard output."""

    def __init__(self, reading: int, writing: int) -> None:
        self._lines = Lines(reading)
        self._writing = writing

    def ask(self, question: str, deadline: Deadline) -> str:
        """Asks until there is an answer. Raises `Cancelled`, `TimeoutError`."""
        with self._line_ended():
            while True:
                self.tell(question)
                line = self._lines.next(deadline)
                if line is None:
                    raise Cancelled
                if line.strip():
                    return line.strip()

    def ask_hidden(self, question: str) -> SecretStr:
        with self._line_ended():
            while True:
                answer = _hidden(question)
                if answer:
                    return SecretStr(answer)

    @contextlib.contextmanager
    def _line_ended(self) -> Iterator[None]:
        """What is said next does not stand behind an unanswered question."""
        try:
            yield
        except (Cancelled, KeyboardInterrupt, TimeoutError):
            self.tell("\n")
            raise

    def tell(self, text: str) -> None:
        os.write(self._writing, text.encode())


def _hidden(question: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(question)
        except getpass.GetPassWarning:
            detail = "this terminal can't hide what is typed: give it on standard input"
            raise Trouble(Code.MISSING_INPUT, detail=detail) from None
        except EOFError:
            raise Cancelled from None
        except UnicodeDecodeError:
            raise Trouble(Code.BAD_INPUT, detail="the input is not UTF-8") from None


def person_at_terminal() -> Person | None:
    """Whoever sits at standard input."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    return _controlling_terminal() or Person(sys.stdin.fileno(), sys.stderr.fileno())


def person_watching() -> Person | None:
    """Also someone who feeds standard input from elsewhere, but reads along."""
    if person := person_at_terminal():
        return person
    return _controlling_terminal() if sys.stderr and sys.stderr.isatty() else None


def _controlling_terminal() -> Person | None:
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    return Person(terminal, terminal)


class Pipe:
    """Standard input fed by a program: each line answers the next question."""

    def __init__(self) -> None:
        # None where this program was started with standard input closed.
        self._lines = Lines(sys.stdin.fileno()) if sys.stdin else None

    def answer(self, what: str, deadline: Deadline) -> str:
        """Raises `Trouble("missing_input")` for an empty line or none, and `TimeoutError`."""
        line = self._lines.next(deadline) if self._lines else None
        if not line:
            detail = f"standard input has no line with the {what}"
            raise Trouble(Code.MISSING_INPUT, detail=detail)
        return line
