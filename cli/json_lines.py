"""A program's pipe."""

import json

from pydantic import JsonValue, SecretStr

from cli.inputs import Inputs
from cli.reports import Report, error_data
from cli.screen import code_question
from cli.sign_in import Challenge
from cli.trouble import Trouble


class JsonScreen:
    """One JSON object for each line of standard output; the last one is the result or the error."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def stage(self, stage: str) -> None: ...

    def waiting(self, trouble: Trouble, seconds: float) -> None: ...

    def ask_code(self, challenge: Challenge) -> SecretStr:
        _emit(
            {
                "mfa_required": True,
                "mfa_type": challenge.way,
                "mfa_destination": challenge.destination,
                "attempts_left": challenge.attempts_left,
                "expires_in": int(challenge.deadline.left),
                "previous_error": error_data(challenge.problem) if challenge.problem else None,
            }
        )
        return self._inputs.code(code_question(challenge), challenge.deadline)

    def show(self, report: Report) -> None:
        _emit(report.data)

    def fail(self, trouble: Trouble) -> None:
        _emit({"error": error_data(trouble)})

    def close(self) -> None: ...


def _emit(data: dict[str, JsonValue]) -> None:
    print(json.dumps(data), flush=True)
