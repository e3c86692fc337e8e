"""Starting with settings that can't work: one clear line, and no start."""

import json
import socket
import subprocess
from pathlib import Path

import pytest

from dev.processes import ROOT, clean_environment
from dev.stack import BIN, new_key
from tests.api.service import settings

SHORT = "2026a:c2hvcnQtc2VjcmV0"
MALFORMED = "2026a:not-base64-secret!"


def start(values: dict[str, str], port: int = 0) -> tuple[int, str]:
    """What uvicorn ends with, and everything it says."""
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
def test_without_a_good_key_it_does_not_start_and_says_why(
    tmp_path: Path, keys: str | None, says: str
) -> None:
    values = settings("redis://127.0.0.1:1/0", tmp_path)
    del values["FITTRACK_ENCRYPTION_KEYS"]
    if keys is not None:
        values["FITTRACK_ENCRYPTION_KEYS"] = keys
    code, output = start(values)
    assert code not in (0, None)
    [line] = output.splitlines()
    assert line.startswith("fittrack-auth api: FITTRACK_ENCRYPTION_KEYS")
    assert says in line
    for part in (keys or "").replace(",", ":").split(":")[1::2]:
        assert part not in output


def test_every_missing_setting_is_named() -> None:
    code, output = start({})
    assert code != 0
    assert "Traceback" not in output
    for name in ("FITTRACK_REDIS_URL", "FITTRACK_DATABASE_URL", "FITTRACK_ENCRYPTION_KEYS"):
        assert f"{name}: is required" in output


@pytest.mark.parametrize("name", ["FITTRACK_REDIS_URL", "FITTRACK_DATABASE_URL"])
def test_a_url_it_does_not_know_is_not_repeated(tmp_path: Path, name: str) -> None:
    values = settings("redis://127.0.0.1:1/0", tmp_path) | {name: "amqp://user:canary@host/"}
    code, output = start(values)
    assert code != 0
    assert name in output
    assert "canary" not in output
    assert "Traceback" not in output


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, output = start(settings("redis://127.0.0.1:1/0", tmp_path), port)
    assert code not in (0, None)
    assert "Traceback" not in output
    lines = [json.loads(line) for line in output.splitlines()]
    [error] = [line["event"] for line in lines if line["level"] == "error"]
    assert error.startswith("can't listen: ")
    assert f"('127.0.0.1', {port})" in error
    assert error.endswith("address already in use")
