"""What a command prints, and where: for a person at a terminal, or for a program."""

import json
import shutil
import sys
import textwrap
from typing import Any, Protocol

from rich.console import Console
from rich.status import Status
from rich.text import Text

from fittrack_auth_client.cli.inputs import Inputs
from fittrack_auth_client.cli.messages import code_was_sent, explain, span, stage_text
from fittrack_auth_client.cli.reports import Report, error_data
from fittrack_auth_client.cli.sign_in import CodeQuestion, Conversation
from fittrack_auth_client.errors import FitTrackAuthError
from fittrack_auth_client.secret import Secret

_RETRY_REASONS = {
    "rate_limited": "The service limits how often it may be asked",
    "service_unavailable": "The service can't work just now",
    "challenge_busy": "Another code is being checked",
    "answer_lost": "The service did not answer",
}
_OTHER_RETRY_REASON = "The service can't be reached"


class Output(Conversation, Protocol):
    def retrying(self, error: FitTrackAuthError, seconds: float) -> None:
        """A request failed; in `seconds` it is sent again."""

    def show(self, report: Report) -> None: ...

    def fail(self, error: FitTrackAuthError) -> None: ...

    def close(self) -> None:
        """Leave the terminal as it was found."""


class TerminalOutput:
    """Results on standard output, everything else on standard error.

    Each stage is a line; on a terminal, the current one has a spinner.
    """

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._errors = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._spins = self._is_terminal and not self._errors.is_dumb_terminal
        self._spinner: Status | None = None
        self._current = ""

    def stage(self, stage: str) -> None:
        self._progress(f"{stage_text(stage)}…")

    def retrying(self, error: FitTrackAuthError, seconds: float) -> None:
        reason = _RETRY_REASONS.get(error.code, _OTHER_RETRY_REASON)
        self._progress(f"{reason}: asking again in {span(max(1, round(seconds)))}…")

    def ask_code(self, question: CodeQuestion) -> Secret:
        self.close()
        introduction = code_introduction(question)
        for line in introduction:
            self._print(line)
        if self._is_terminal:
            return self._inputs.code(question.deadline)
        return self._inputs.code(question.deadline, _lines(introduction))

    def show(self, report: Report) -> None:
        self.close()
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in table(report.rows, width):
            print(line, flush=True)

    def fail(self, error: FitTrackAuthError) -> None:
        self.close()
        self._print(explain(error), style="red")

    def close(self) -> None:
        if self._spinner:
            self._spinner.stop()
            self._spinner = None
            self._print(self._current)
        self._current = ""

    def _progress(self, text: str) -> None:
        if text == self._current:
            return
        if not self._spins:
            self._print(text)
        elif self._spinner:
            self._print(self._current)
            self._spinner.update(Text(text))
        else:
            self._spinner = self._errors.status(Text(text))
            self._spinner.start()
        self._current = text

    def _print(self, text: str, style: str = "") -> None:
        """Wrapped between words on a terminal; a line alone where a program reads along."""
        self._errors.print(Text(text, style=style), soft_wrap=not self._is_terminal)


class JsonOutput:
    """One JSON object for each line of standard output; the last is the result or the error."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def stage(self, stage: str) -> None: ...

    def retrying(self, error: FitTrackAuthError, seconds: float) -> None: ...

    def ask_code(self, question: CodeQuestion) -> Secret:
        challenge = question.challenge
        _print_json(
            {
                "mfa_required": True,
                "mfa_type": challenge.mfa_type,
                "mfa_destination": challenge.mfa_destination,
                "attempts_left": question.attempts_left,
                "expires_in": int(question.deadline.left),
                "previous_error": error_data(question.problem) if question.problem else None,
            }
        )
        return self._inputs.code(question.deadline, _lines(code_introduction(question)))

    def show(self, report: Report) -> None:
        _print_json(report.data)

    def fail(self, error: FitTrackAuthError) -> None:
        _print_json({"error": error_data(error)})

    def close(self) -> None: ...


def code_introduction(question: CodeQuestion) -> list[str]:
    """What a person reads before a code is asked for."""
    challenge = question.challenge
    if question.problem:
        first = explain(question.problem).replace("then log in again", "then enter a code")
    else:
        first = code_was_sent(challenge.mfa_type, challenge.mfa_destination)
    limits = f"You can enter the code for {span(int(question.deadline.left))}"
    if question.attempts_left is not None:
        plural = "" if question.attempts_left == 1 else "s"
        limits += f"; {question.attempts_left} attempt{plural} left"
    return [first, f"{limits}."]


def table(rows: list[tuple[str, str]], width: int | None) -> list[str]:
    """Lines with the values under each other, wrapped between words where a width is given."""
    labels = max(len(label) for label, _ in rows)
    lines: list[str] = []
    for label, value in rows:
        head = f"{label:<{labels}}  " if label else ""
        if width is None:
            lines.append(head + value)
        else:
            lines += textwrap.wrap(
                value,
                max(width, len(head) + 20),
                initial_indent=head,
                subsequent_indent=" " * len(head),
                break_long_words=False,
                break_on_hyphens=False,
            )
    return lines


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data), flush=True)
