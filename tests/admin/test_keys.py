"""`fittrack-auth-admin keys …`."""

import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from dev.processes import clean_environment
from dev.stack import BIN, new_key
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken, User
from shared.database.sealed_rows import SealedRows
from shared.garmin.types import GarminDomain
from tests.admin.conftest import Result, Run
from tests.shared.samples import garmin_tokens

OLD, NEW = new_key("old"), new_key("new")
BOTH = f"{NEW},{OLD}"
USERS = 230  # more than two batches


class Admin:
    def __init__(self, run: Run, database_url: str) -> None:
        self._run = run
        self._database_url = database_url

    def keys(self, command: str, encryption_keys: str) -> Result:
        return self._run(
            "keys",
            command,
            DATABASE_URL=self._database_url,
            REDIS_URL="redis://127.0.0.1:1/0",
            ENCRYPTION_KEYS=encryption_keys,
        )


@pytest.fixture
def admin(run: Run, database_url: str) -> Admin:
    return Admin(run, database_url)


@pytest.fixture
def user_ids(database_url: str) -> list[uuid.UUID]:
    """Users whose tokens the old key has sealed."""
    keyring, now = Keyring.parse(OLD), datetime.now(UTC)
    ids = [uuid.uuid4() for _ in range(USERS)]

    def work(session: Session) -> None:
        for i, user_id in enumerate(ids):
            user = User(id=user_id, garmin_guid=f"guid-{i}", domain=GarminDomain.COM)
            user.display_name, user.created_at, user.updated_at = f"User {i}", now, now
            session.add(user)
            TokenRepository(session, keyring).save(user_id, garmin_tokens(f"token of {i}"))

    database = Database(database_url)
    database.run(work)
    database.close()
    return ids


def tokens_of(database_url: str, keys: str, user_id: uuid.UUID) -> str:
    database = Database(database_url)
    try:
        tokens = database.run(
            lambda session: TokenRepository(session, Keyring.parse(keys)).load(user_id)
        )
    finally:
        database.close()
    assert tokens is not None
    return tokens.data.get_secret_value()


def test_rotating_seals_every_row_with_the_new_key(
    admin: Admin, database_url: str, user_ids: list[uuid.UUID]
) -> None:
    rotated = admin.keys("rotate", BOTH)

    assert rotated.exit_code == 0, rotated.stderr
    assert f"{USERS} rows sealed with 'new', 0 left" in rotated.stdout
    for i in (0, 100, USERS - 1):
        assert tokens_of(database_url, NEW, user_ids[i]) == f"token of {i}"
    again = admin.keys("rotate", BOTH)
    assert "0 rows sealed" in again.stdout


def test_check_says_when_a_key_can_be_dropped(admin: Admin, user_ids: list[uuid.UUID]) -> None:
    before = admin.keys("check", BOTH)
    assert f"old: {len(user_ids)} rows; still needed" in before.stdout

    admin.keys("rotate", BOTH)

    after = admin.keys("check", BOTH)
    assert after.exit_code == 0
    assert "old: 0 rows; unused: can be dropped 24 hours after" in after.stdout
    assert f"new: {len(user_ids)} rows; seals new tokens" in after.stdout


def test_check_names_a_missing_key_that_is_needed(
    admin: Admin, database_url: str, user_ids: list[uuid.UUID]
) -> None:
    missing = admin.keys("check", NEW)

    assert missing.exit_code == 1
    assert f"old: {len(user_ids)} rows; NOT in FITTRACK_ENCRYPTION_KEYS" in missing.stdout
    refused = admin.keys("rotate", NEW)
    assert refused.exit_code == 1
    assert refused.stdout.count("do not open") == len(user_ids)
    assert "Traceback" not in refused.stderr
    assert tokens_of(database_url, OLD, user_ids[0]) == "token of 0"


def test_a_row_that_does_not_open_is_named_and_does_not_stop_a_rotation(
    admin: Admin, database_url: str, user_ids: list[uuid.UUID]
) -> None:
    damaged = sorted(user_ids)[3]
    database = Database(database_url)
    change = update(GarminToken).where(GarminToken.user_id == damaged)
    database.run(lambda s: s.execute(change.values(ciphertext=b"1.old.damaged")))
    database.close()

    for _ in range(2):
        rotated = admin.keys("rotate", BOTH)
        assert rotated.exit_code == 1
        assert rotated.stdout.count("do not open") == 1
        assert str(damaged) in rotated.stdout
    assert "old: 1 row;" in admin.keys("check", BOTH).stdout
    assert tokens_of(database_url, NEW, sorted(user_ids)[4]).startswith("token of")


def test_sign_ins_during_a_rotation_lose_nothing(
    admin: Admin, database_url: str, user_ids: list[uuid.UUID]
) -> None:
    both = Keyring.parse(BOTH)
    database = Database(database_url)

    def save(i: int) -> None:
        fresh = garmin_tokens(f"fresh token of {i}")
        database.run(lambda session: TokenRepository(session, both).save(user_ids[i], fresh))

    def rotate(_: int) -> int:
        return database.run(lambda session: SealedRows(session, both).reseal(20)).sealed

    with ThreadPoolExecutor(8) as pool:
        saved = pool.map(save, range(0, USERS, 5))
        sealed = pool.map(rotate, range(40))
        assert list(saved) == [None] * len(range(0, USERS, 5))
        assert sum(sealed) <= USERS
    database.close()

    assert admin.keys("rotate", BOTH).exit_code == 0
    for i in range(0, USERS, 23):
        kind = "fresh token" if i % 5 == 0 else "token"
        assert tokens_of(database_url, NEW, user_ids[i]) == f"{kind} of {i}"


def test_a_new_key_is_accepted_by_the_service(run: Run) -> None:
    first, second = (run("keys", "new", "2027a").stdout for _ in range(2))

    assert first != second
    assert Keyring.parse(first.strip()).sealing_key_id == "2027a"


def test_a_new_key_with_an_invalid_name_says_what_a_name_is(run: Run) -> None:
    result = run("keys", "new", "a:b")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(
        "Invalid value for NAME: must be 1 to 32 letters, digits, dashes or underscores\n"
    )


def test_the_installed_command_prints_one_line_for_an_invalid_setting() -> None:
    settings = {
        "FITTRACK_DATABASE_URL": "sqlite://",
        "FITTRACK_REDIS_URL": "redis://127.0.0.1:1/0",
        "FITTRACK_ENCRYPTION_KEYS": "old:short",
    }
    result = subprocess.run(
        [BIN / "fittrack-auth-admin", "keys", "check"],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert result.returncode == 2
    assert result.stderr.startswith("fittrack-auth-admin: FITTRACK_ENCRYPTION_KEYS")
    assert result.stderr.count("\n") == 1
