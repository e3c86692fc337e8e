"""Invalid settings: one clear line, and no start."""

import json
import socket
import subprocess
from pathlib import Path

import pytest

from api.startup import start
from dev.processes import ROOT, clean_environment
from dev.stack import BIN, new_key
from shared.timings import PRODUCTION
from tests.api.service import settings
from tests.logs import kept_logging

SHORT = "2026a:c2hvcnQtc2VjcmV0"
MALFORMED = "2026a:not-base64-secret!"


def start_uvicorn(values: dict[str, str], port: int = 0) -> tuple[int, str]:
    """The exit code of uvicorn, and its output."""
    ended = subprocess.run(
        [BIN / "uvicorn", "api.main:app", "--port", str(port)],
        cwd=ROOT,
        env=clean_environment(values),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout


def refusal(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> str:
    """What the process exits with. The interpreter prints a text, and makes the exit code 1."""
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with kept_logging(), pytest.raises(SystemExit) as stopped:
        start(PRODUCTION)
    assert isinstance(stopped.value.code, str)
    return stopped.value.code


def without_keys(folder: Path) -> dict[str, str]:
    values = settings("redis://127.0.0.1:1/0", folder)
    del values["FITTRACK_ENCRYPTION_KEYS"]
    return values


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (None, "is required"),
        ("", "empty"),
        (SHORT, "'2026a' has 12 bytes, it needs 32"),
        (MALFORMED, "'2026a' is not base64"),
        (new_key("x").removeprefix("x:"), "NAME:BASE64"),
        (f"{new_key('a')},{new_key('a')}", "'a' twice"),
    ],
    ids=["missing", "empty", "short", "malformed", "without a name", "named twice"],
)
def test_an_invalid_encryption_key_stops_the_start_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str | None, says: str
) -> None:
    values = without_keys(tmp_path)
    if keys is not None:
        values["FITTRACK_ENCRYPTION_KEYS"] = keys
    [line] = refusal(monkeypatch, values).splitlines()
    assert line.startswith("fittrack-auth api: FITTRACK_ENCRYPTION_KEYS")
    assert says in line
    for part in (keys or "").replace(",", ":").split(":")[1::2]:
        assert part not in line


def test_uvicorn_reports_an_invalid_setting_in_one_line(tmp_path: Path) -> None:
    code, output = start_uvicorn(without_keys(tmp_path) | {"FITTRACK_ENCRYPTION_KEYS": MALFORMED})
    assert code not in (0, None)
    [line] = output.splitlines()
    assert line.startswith("fittrack-auth api: FITTRACK_ENCRYPTION_KEYS")
    assert "not-base64-secret" not in line


def test_every_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = refusal(monkeypatch, {})
    for name in ("FITTRACK_REDIS_URL", "FITTRACK_DATABASE_URL", "FITTRACK_ENCRYPTION_KEYS"):
        assert f"{name}: is required" in reason


@pytest.mark.parametrize("name", ["FITTRACK_REDIS_URL", "FITTRACK_DATABASE_URL"])
def test_an_unknown_url_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    values = settings("redis://127.0.0.1:1/0", tmp_path) | {name: "amqp://user:canary@host/"}
    reason = refusal(monkeypatch, values)
    assert name in reason
    assert "canary" not in reason


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, output = start_uvicorn(settings("redis://127.0.0.1:1/0", tmp_path), port)
    assert code not in (0, None)
    assert "Traceback" not in output
    lines = [json.loads(line) for line in output.splitlines()]
    [error] = [line["event"] for line in lines if line["level"] == "error"]
    assert error.startswith("can't listen: ")
    assert f"('127.0.0.1', {port})" in error
    assert error.endswith("address already in use")
