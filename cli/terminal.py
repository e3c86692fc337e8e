"""A person's terminal."""

import sys

from pydantic import SecretStr
from rich.console import Console
from rich.status import Status
from rich.text import Text

from cli.codes import Code
from cli.inputs import Inputs
from cli.messages import explain, span, stage_text
from cli.reports import Report
from cli.screen import code_question
from cli.sign_in import Challenge
from cli.trouble import Trouble

_WAITING: dict[str, str] = {
    Code.RATE_LIMITED: "The service limits how often it may be asked",
    Code.SERVICE_UNAVAILABLE: "The service can't work just now",
    Code.CHALLENGE_BUSY: "Another code is being checked",
}
_WAITING_OTHERWISE = "The service can't be reached"


class TerminalScreen:
    """Results on standard output; everything else on standard error, as one live line where that
    is a terminal, else as a line for each change.
    """

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._errors = Console(stderr=True, markup=False, emoji=False, highlight=False)
        watched = sys.stderr is not None and sys.stderr.isatty()
        self._live = watched and not self._errors.is_dumb_terminal
        self._status: Status | None = None
        self._last = ""

    def stage(self, stage: str) -> None:
        self._now(f"{stage_text(stage)}…")

    def waiting(self, trouble: Trouble, seconds: float) -> None:
        reason = _WAITING.get(trouble.code, _WAITING_OTHERWISE)
        self._now(f"{reason}: asking again in {span(max(1, round(seconds)))}…")

    def ask_code(self, challenge: Challenge) -> SecretStr:
        self.close()
        told = code_question(challenge)
        if not self._live:
            self._say(told.rstrip("\n"))
        return self._inputs.code(told, challenge.deadline)

    def show(self, report: Report) -> None:
        self.close()
        for line in report.lines:
            print(line, flush=True)

    def fail(self, trouble: Trouble) -> None:
        self.close()
        self._say(explain(trouble), style="red")

    def close(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None

    def _now(self, text: str) -> None:
        if text == self._last and (self._status or not self._live):
            return
        self._last = text
        if not self._live:
            self._say(text)
        elif self._status:
            self._status.update(Text(text))
        else:
            self._status = self._errors.status(Text(text))
            self._status.start()

    def _say(self, text: str, style: str = "") -> None:
        self._errors.print(Text(text, style=style), soft_wrap=True)
