import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fittrack_auth_client import Secret, User
from fittrack_auth_client.cli.errors import CliError
from fittrack_auth_client.cli.session_file import SessionFile, StoredSession
from tests.client.cli.program import Program
from tests.client.stand_in import (
    ACCESS_TOKEN,
    LOG_OUT,
    LOGIN,
    StandIn,
    accepted,
    done,
    job,
    succeeded,
)


def _session(token: str) -> StoredSession:
    return StoredSession(
        server="https://auth.example.com",
        access_token=Secret(token),
        session_id="session-1",
        expires_at=datetime(2026, 1, 31, tzinfo=UTC),
        user=User(id="user-1", display_name="Runner"),
    )


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    file = SessionFile(tmp_path / "folder" / "session.json")
    assert file.load() is None

    file.save(_session("first"))

    assert file.load() == _session("first")


def test_only_its_owner_can_read_it(service: StandIn, program: Program) -> None:
    folder = program.session_file.parent
    folder.mkdir(parents=True, mode=0o755)
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))

    assert program.login().exit_code == 0

    assert stat.S_IMODE(program.session_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_was_open_to_all_is_replaced_by_one_that_is_not(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_text("{}")
    path.chmod(0o666)

    SessionFile(path).save(_session("first"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_session_replaces_the_old_one_in_one_step(tmp_path: Path) -> None:
    """Whoever has the old file open goes on reading the old session, whole."""
    path = tmp_path / "session.json"
    file = SessionFile(path)
    file.save(_session("first"))

    with path.open() as old:
        file.save(_session("second"))
        assert json.load(old)["access_token"] == "first"

    assert json.loads(path.read_text())["access_token"] == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.mkdir()

    with pytest.raises(CliError) as error:
        SessionFile(path).save(_session("first"))

    assert error.value.code == "session_file"
    assert list(tmp_path.iterdir()) == [path]


def test_a_stored_session_does_not_show_its_token() -> None:
    assert "very secret" not in repr(_session("very secret"))


def test_without_a_place_for_the_session_no_password_is_sent(
    service: StandIn, program: Program
) -> None:
    (program.home / "config").mkdir()
    program.session_file.parent.write_text("a file where the folder should be")

    result = program.login()

    assert result.exit_code == 2
    assert str(program.session_file) in result.err
    assert service.requests == []


def test_a_session_that_can_not_be_kept_is_closed(service: StandIn, program: Program) -> None:
    program.session_file.mkdir(parents=True)
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))
    service.on(LOG_OUT, done())

    result = program.login()

    assert result.exit_code == 2
    bearers = [request.headers["authorization"] for request in service.seen(LOG_OUT)]
    assert bearers == [f"Bearer {ACCESS_TOKEN}"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"server": "x"}', "\x00"])
def test_a_damaged_file_is_called_that(program: Program, content: str) -> None:
    program.session_file.parent.mkdir(parents=True)
    program.session_file.write_text(content)

    result = program.run("whoami")

    assert result.exit_code == 2
    assert "is damaged" in result.err
