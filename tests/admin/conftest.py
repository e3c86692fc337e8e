"""`fittrack-auth-admin`, run in this process."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from admin.main import main


@dataclass(frozen=True)
class Result:
    exit_code: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with the given settings: `run("keys", "check", REDIS_URL="…")`."""

    def command(*arguments: str, **settings: str) -> Result:
        with monkeypatch.context() as environment:
            for name, value in settings.items():
                environment.setenv(f"FITTRACK_{name}", value)
            with pytest.raises(SystemExit) as exit_:
                main(arguments)
        output = capsys.readouterr()
        return Result(int(exit_.value.code or 0), output.out, output.err)

    return command
