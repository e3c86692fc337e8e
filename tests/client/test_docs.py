"""docs/client.md is true, and both clients are the same."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import fittrack_auth_client
from fittrack_auth_client import AsyncFitTrackAuth, FitTrackAuth, FitTrackAuthError
from tests.client.stand_in import (
    CODE,
    LOGIN,
    StandIn,
    accepted,
    code_asked,
    failed,
    job,
    succeeded,
)

PAGE = Path(__file__).parents[2].joinpath("docs", "client.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]


def methods(client: type) -> dict[str, Callable[..., object]]:
    found = inspect.getmembers(client, inspect.isfunction)
    return {name: method for name, method in found if not name.startswith("_")}


def test_the_example_signs_in_after_a_wrong_code(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.on(LOGIN, accepted("one"))
    stand_in.on(job("one"), code_asked("one"))
    stand_in.on(CODE, accepted("two"), accepted("three"))
    wrong = failed("two", "mfa_code_invalid", attempts_left=2, message="Garmin rejected the code.")
    stand_in.on(job("two"), wrong)
    stand_in.on(job("three"), succeeded("three"))
    answers = iter(["runner@example.com", "000000", "123456"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    monkeypatch.setattr("getpass.getpass", lambda: "correct horse")

    exec(EXAMPLE.replace("https://auth.example.com", stand_in.url), {})  # noqa: S102 - ours

    assert capsys.readouterr().out == "Garmin rejected the code.\nRunner\n"
    assert [(r.data or {})["mfa_code"] for r in stand_in.seen(CODE)] == ["000000", "123456"]


def test_the_page_has_every_method_with_its_parameters() -> None:
    rows = dict(re.findall(r"^\| `(\w+)\((.*?)\)` \|", PAGE, re.MULTILINE))
    assert rows == {
        name: ", ".join(_written(inspect.signature(method)))
        for name, method in methods(FitTrackAuth).items()
        if name != "close"
    }


def _written(signature: inspect.Signature) -> list[str]:
    parameters = list(signature.parameters.values())[1:]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    return [*positional, *(["*", *keywords] if keywords else [])]


def test_the_page_has_every_error() -> None:
    errors = {
        name
        for name, member in vars(fittrack_auth_client).items()
        if isinstance(member, type) and issubclass(member, FitTrackAuthError)
    }
    assert errors == set(re.findall(r"`(\w+Error)`", PAGE))


def test_both_clients_have_the_same_methods() -> None:
    def signatures(client: type, close: str) -> dict[str, inspect.Signature]:
        return {n: inspect.signature(m) for n, m in methods(client).items() if n != close}

    blocking = signatures(FitTrackAuth, "close")
    for name in ("requests_auth", "garminconnect", "garth"):  # which know no asyncio
        del blocking[name]
    assert blocking == signatures(AsyncFitTrackAuth, "aclose")
    options = [inspect.signature(c).parameters for c in (FitTrackAuth, AsyncFitTrackAuth)]
    assert list(options[0]) == list(options[1])
