"""docs/integrate.md's programs, run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dev.processes import ROOT, clean_environment
from dev.simulator import PASSWORD, Simulator
from dev.stack import BIN, Stack
from fittrack_auth_client import FitTrackAuth, SignedIn
from tests.end_to_end.test_readme import sent_code

MEMBER = "member-4711"
USERNAME = "plain-ines@example.com"
DAY = 86_400
PAGE = (ROOT / "docs" / "integrate.md").read_text(encoding="utf-8")
APP, CONNECT, *SYNCS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
GARMINCONNECT_FILE, GARTH_VARIABLE = re.findall(
    r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
READ_BY_GARMINCONNECT = """
from garminconnect import Garmin
garmin = Garmin()
garmin.login("~/.garminconnect")
print(garmin.get_full_name())
"""
READ_BY_GARTH = """
import garth
print(garth.client.profile["fullName"])
"""


@pytest.fixture
def environment(stack: Stack, app_key: str, garmin: Simulator, tmp_path: Path) -> dict[str, str]:
    """What the page has a reader set, and the way to the simulator."""
    return clean_environment(
        {
            **garmin.environment,
            "FITTRACK_SERVER": stack.url,
            "FITTRACK_CLIENT_KEY": app_key,
            "HOME": str(tmp_path),
            "PATH": f"{BIN}:/usr/bin:/bin",
            "PYTHONWARNINGS": "ignore",
        }
    )


@pytest.fixture
def connected(stack: Stack, environment: dict[str, str]) -> dict[str, str]:
    with FitTrackAuth(stack.url, client_key=environment["FITTRACK_CLIENT_KEY"]) as auth:
        assert isinstance(auth.sign_in(USERNAME, PASSWORD, user_id=MEMBER), SignedIn)
    return environment


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=environment["HOME"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_user_is_connected_with_a_code(environment: dict[str, str], garmin: Simulator) -> None:
    username = "email-ines@example.com"
    with subprocess.Popen(
        [sys.executable, "-c", CONNECT],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # without a terminal, passwords come from standard input
    ) as program:
        assert program.stdin is not None
        print(username, PASSWORD, sep="\n", file=program.stdin, flush=True)
        print(sent_code(garmin, username), file=program.stdin, flush=True)
        out, error = program.communicate(timeout=120)
    assert out.endswith("Connected: Email Ines\n"), out + error


@pytest.mark.parametrize("sync", SYNCS, ids=["httpx", "garminconnect", "garth"])
def test_a_nightly_sync_brings_what_is_new(
    connected: dict[str, str], garmin: Simulator, sync: str
) -> None:
    folder = Path(connected["HOME"])
    command = [sys.executable, "-c", sync, MEMBER]
    run(command, connected)
    files = sorted(folder.glob("*.zip"))
    assert len(files) == 10
    garmin.advance_clock(3 * DAY)  # a run on every third day; and the token is over
    run(command, connected)
    [new] = set(folder.glob("*.zip")) - set(files)
    assert new.read_bytes().startswith(b"PK")
    assert garmin.count("data_reads", USERNAME) >= 13
    assert garmin.count("oauth2_exchanges", USERNAME) == 2


def test_an_app_has_ten_lines_beside_its_imports() -> None:
    lines = [line for line in APP.splitlines() if line]
    assert len([line for line in lines if not line.startswith(("import", "from"))]) == 10


@pytest.mark.parametrize("sync", SYNCS, ids=["httpx", "garminconnect", "garth"])
def test_a_nightly_sync_has_fifteen_lines(sync: str) -> None:
    assert len([line for line in sync.splitlines() if line]) <= 15


@pytest.mark.parametrize(
    ("prepare", "read"),
    [(GARMINCONNECT_FILE, READ_BY_GARMINCONNECT), (GARTH_VARIABLE, READ_BY_GARTH)],
    ids=["garminconnect", "garth"],
)
def test_programs_read_the_token_where_their_library_looks(
    connected: dict[str, str], prepare: str, read: str
) -> None:
    printed = run(["bash", "-c", f'{prepare}\n"$0" -c "$1"', sys.executable, read], connected)
    assert printed == "Plain Ines\n"


def test_the_sync_with_httpx_reads_a_connection_by_key(
    stack: Stack, environment: dict[str, str], garmin: Simulator
) -> None:
    garmin.configure(personal_limit=50)
    with FitTrackAuth(stack.url, client_key=environment["FITTRACK_CLIENT_KEY"]) as auth:
        auth.import_personal_api_key(f"key-{USERNAME}", user_id=MEMBER)
    run([sys.executable, "-c", SYNCS[0], MEMBER], environment)
    assert len(list(Path(environment["HOME"]).glob("*.zip"))) == 10
