"""Where a command is heard."""

from typing import Protocol

from cli.messages import code_was_sent, explain, span
from cli.reports import Report
from cli.sign_in import Challenge, Conversation
from cli.trouble import Trouble


class Screen(Conversation, Protocol):
    """A person's terminal (`cli.terminal`) or a program's pipe (`cli.json_lines`)."""

    def show(self, report: Report) -> None: ...

    def fail(self, trouble: Trouble) -> None: ...

    def close(self) -> None:
        """Leaves the terminal as it was found."""


def code_question(challenge: Challenge) -> str:
    """What a person is told before a code is asked for, in lines."""
    told = [explain(challenge.problem)] if challenge.problem else []
    told.append(code_was_sent(challenge.way, challenge.destination))
    told.append(_limits(challenge))
    return "".join(f"{line}\n" for line in told)


def _limits(challenge: Challenge) -> str:
    time_left = f"It can be entered for {span(int(challenge.deadline.left))}"
    if challenge.attempts_left is None:
        return f"{time_left}."
    attempts = f"{challenge.attempts_left} attempt" + ("" if challenge.attempts_left == 1 else "s")
    return f"{time_left}; {attempts} left."
