"""Where answers come from: an option, the person at the terminal, or lines of standard input."""

import contextlib
import getpass
import os
import select
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from fittrack_auth_client.cli.errors import CancelledError, CliError
from fittrack_auth_client.retries import Deadline
from fittrack_auth_client.secret import Secret

INPUT_SECONDS = 300.0
LONGEST_LINE = 1 << 16
LONGEST_TYPED = 4095  # what a terminal hands on of one line


class Lines:
    """Whole lines from a file descriptor, each with a deadline."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    def next(self, deadline: Deadline) -> str | None:
        """Return a line without its end; None at the end of input. Raises TimeoutError."""
        while b"\n" not in self._buffer:
            piece = self._read(deadline)
            if not piece:
                rest, self._buffer = self._buffer, b""
                return _decoded(rest) if rest else None
            self._buffer += piece
            if len(self._buffer) > LONGEST_LINE:
                raise CliError("bad_input", "a line of input is too long")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return _decoded(line)

    def rest(self, deadline: Deadline) -> str:
        """Return everything up to the end of input. Raises TimeoutError."""
        while piece := self._read(deadline):
            self._buffer += piece
            if len(self._buffer) > LONGEST_LINE:
                raise CliError("bad_input", "the input is too long")
        rest, self._buffer = self._buffer, b""
        return _decoded(rest)

    def _read(self, deadline: Deadline) -> bytes:
        ready, _, _ = select.select([self._descriptor], [], [], deadline.left)
        if not ready:
            raise TimeoutError
        return os.read(self._descriptor, 4096)


def _decoded(line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise CliError("bad_input", "the input is not UTF-8") from None


class Person:
    """Someone at a terminal. Questions stay out of standard output."""

    def __init__(self, reading: int, writing: int) -> None:
        self._lines = Lines(reading)
        self._writing = writing

    def ask(self, question: str, deadline: Deadline) -> str:
        """Ask until there is an answer. Raises CancelledError, TimeoutError."""
        with self._line_ended():
            while True:
                self.tell(question)
                line = self._lines.next(deadline)
                if line is None:
                    raise CancelledError
                if line.strip():
                    return line.strip()

    def ask_hidden(self, question: str) -> Secret:
        with self._line_ended():
            while True:
                answer = _ask_hidden(question)
                if answer:
                    return Secret(answer)

    @contextlib.contextmanager
    def _line_ended(self) -> Iterator[None]:
        """What is printed next must not stand behind an unanswered question."""
        try:
            yield
        except (CancelledError, KeyboardInterrupt, TimeoutError):
            self.tell("\n")
            raise

    def tell(self, text: str) -> None:
        os.write(self._writing, text.encode())


def _ask_hidden(question: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(question)
        except getpass.GetPassWarning:
            message = "this terminal can't hide what is typed: give it on standard input"
            raise CliError("missing_input", message) from None
        except EOFError:
            raise CancelledError from None
        except UnicodeDecodeError:
            raise CliError("bad_input", "the input is not UTF-8") from None


def person_at_stdin() -> Person | None:
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    return _controlling_terminal() or Person(sys.stdin.fileno(), sys.stderr.fileno())


def person_at_stderr() -> Person | None:
    """Someone who feeds standard input from elsewhere, but watches."""
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

    def answer(self, name: str, deadline: Deadline) -> str:
        """Raises CliError(`missing_input`) for an empty line or none, and TimeoutError."""
        line = self._lines.next(deadline) if self._lines else None
        if not line:
            raise CliError("missing_input", f"standard input has no line with the {name}")
        return line

    def everything(self, deadline: Deadline) -> str:
        """Return all that comes. Raises TimeoutError."""
        return self._lines.rest(deadline) if self._lines else ""


@dataclass(frozen=True)
class Inputs:
    """At a terminal the person is asked. Elsewhere standard input answers, but only where an
    option allows it (`secrets_piped`, `codes_piped`): a program must not hang on a question
    that nobody sees.
    """

    secrets_piped: bool = False
    codes_piped: bool = False
    _pipe: Pipe = field(default_factory=Pipe)
    _person: Person | None = field(default_factory=person_at_stdin)

    def username(self, option: str | None) -> str:
        if option is not None:
            return _usable_username(option.strip())
        if self._person:
            question = "Garmin username (e-mail address): "
            return self._person.ask(question, Deadline.after(INPUT_SECONDS))
        raise CliError("missing_input", "say who signs in with --username")

    def secret(self, name: str, question: str, without_terminal: str) -> Secret:
        """`name` stands in messages; `without_terminal` says how else to give the secret."""
        if self._person:
            return self._person.ask_hidden(question)
        if not self.secrets_piped:
            raise CliError("missing_input", without_terminal)
        try:
            return Secret(self._pipe.answer(name, Deadline.after(INPUT_SECONDS)))
        except TimeoutError:
            raise CliError("missing_input", f"no {name} came on standard input") from None

    def tokens(self) -> Secret:
        """Return all of standard input, or what a person pastes, hidden.

        Raises CliError(`missing_input`, `bad_input`).
        """
        if self._person:
            pasted = self._person.ask_hidden("Tokens (hidden): ")
            if len(pasted.reveal()) >= LONGEST_TYPED:
                raise CliError("bad_input", "a terminal takes no line as long as this: use a file")
            return pasted
        try:
            text = self._pipe.everything(Deadline.after(INPUT_SECONDS))
        except TimeoutError:
            raise CliError("missing_input", "no tokens came on standard input") from None
        if not text.strip():
            raise CliError("missing_input", "standard input is empty")
        return Secret(text)

    def code(self, deadline: Deadline, introduction: str = "") -> Secret:
        """`introduction` is printed where a person is asked.

        Raises CliError(`missing_input`, `code_not_in_time`) and CancelledError.
        """
        try:
            return Secret(self._code(deadline, introduction))
        except TimeoutError:
            raise CliError("code_not_in_time") from None

    def _code(self, deadline: Deadline, introduction: str) -> str:
        if self.codes_piped and not self._person:
            return self._pipe.answer("code", deadline)
        person = self._person or person_at_stderr()
        if person is None:
            message = "Garmin asks for a code; to answer from a program, use --code-stdin or --json"
            raise CliError("missing_input", message)
        person.tell(introduction)
        return person.ask("Code: ", deadline)


def _usable_username(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise CliError("bad_input", "the username is not UTF-8") from None
    if not name:
        raise CliError("bad_input", "the username is empty")
    return name
