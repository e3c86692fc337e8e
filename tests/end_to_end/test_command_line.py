"""The bundled command line against the real service."""

import json
import subprocess
from pathlib import Path

from dev.processes import clean_environment
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import BIN, Stack

_PATIENCE = 120


def test_a_whole_sign_in_through_one_pipe(stack: Stack, garmin: Simulator, tmp_path: Path) -> None:
    username = "email-wanda@example.com"
    command = ["login", "--server", stack.url, "--username", username, "--json"]
    with subprocess.Popen(
        [BIN / "fittrack-auth", *command],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as login:
        assert login.stdin is not None
        assert login.stdout is not None
        print(PASSWORD, file=login.stdin, flush=True)
        asked = json.loads(login.stdout.readline())
        assert asked["mfa_required"] is True
        assert asked["mfa_destination"] is not None
        print(garmin.code(username), file=login.stdin, flush=True)
        signed_in = json.loads(login.stdout.readline())
        assert login.wait(_PATIENCE) == 0
    assert signed_in["user"]["display_name"] == "Email Wanda"

    who = run(tmp_path, "whoami", "--json")
    assert json.loads(who.stdout)["user"] == signed_in["user"]
    assert run(tmp_path, "logout", "--json").returncode == 0
    assert run(tmp_path, "whoami", "--json").returncode == 1


def test_a_refusal_by_garmin_exits_with_one(
    stack: Stack, garmin: Simulator, tmp_path: Path
) -> None:
    command = ["login", "--server", stack.url, "--username", "locked-xena@example.com", "--json"]
    refused = run(tmp_path, *command, stdin=PASSWORD)

    assert refused.returncode == 1
    assert json.loads(refused.stdout)["error"]["code"] == "account_locked"
    assert garmin.count("credential_posts") == 1


def run(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "fittrack-auth", *arguments],
        env=environment(home),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )


def environment(home: Path) -> dict[str, str]:
    return clean_environment({"HOME": str(home), "XDG_CONFIG_HOME": str(home)})
