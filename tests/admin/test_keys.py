"""Rotating the sealing keys with the operator's real command."""

import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from dev.processes import clean_environment
from dev.stack import BIN, new_key
from shared.accounts.accounts import Accounts
from shared.accounts.tokens import SealedTokens, TokenRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import GarminToken
from shared.garmin.types import GarminIdentity
from tests.shared.samples import garmin_tokens

OLD, NEW = new_key("old"), new_key("new")
PEOPLE = 230  # more than two batches


def admin(database_url: str, keys: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "FITTRACK_DATABASE_URL": database_url,
        "FITTRACK_REDIS_URL": "redis://127.0.0.1:1/0",
        "FITTRACK_ENCRYPTION_KEYS": keys,
    }
    return subprocess.run(
        [BIN / "fittrack-auth-admin", *arguments],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def people(database_url: str) -> list[uuid.UUID]:
    """People whose tokens the old key has sealed."""
    database = Database(database_url)
    accounts = Accounts(database, Keyring.parse(OLD), 3600)
    ids = [
        accounts.store(
            GarminIdentity(guid=f"guid-{i}", display_name=f"Person {i}"),
            garmin_tokens(f"token of {i}"),
            uuid.uuid4(),
            SecretStr(new_token()),
        ).user_id
        for i in range(PEOPLE)
    ]
    database.close()
    return ids


def tokens_of(database_url: str, keys: str, user_id: uuid.UUID) -> str:
    database = Database(database_url)
    try:
        found = database.run(
            lambda session: TokenRepository(session, Keyring.parse(keys)).load(user_id)
        )
    finally:
        database.close()
    assert found is not None
    return found.data.get_secret_value()


def test_rotating_seals_every_row_with_the_new_key(
    database_url: str, people: list[uuid.UUID]
) -> None:
    rotated = admin(database_url, f"{NEW},{OLD}", "keys", "rotate")

    assert rotated.returncode == 0, rotated.stderr
    assert f"{PEOPLE} rows sealed with 'new', 0 left" in rotated.stdout
    for i in (0, 100, PEOPLE - 1):
        assert tokens_of(database_url, NEW, people[i]) == f"token of {i}"
    again = admin(database_url, f"{NEW},{OLD}", "keys", "rotate")
    assert "0 rows sealed" in again.stdout


def test_check_says_when_a_key_can_be_dropped(database_url: str, people: list[uuid.UUID]) -> None:
    before = admin(database_url, f"{NEW},{OLD}", "keys", "check")
    assert f"old: {len(people)} rows; still needed" in before.stdout

    admin(database_url, f"{NEW},{OLD}", "keys", "rotate")

    after = admin(database_url, f"{NEW},{OLD}", "keys", "check")
    assert after.returncode == 0
    assert "old: 0 rows; nothing stored uses it: it can be dropped 24 hours after" in after.stdout
    assert f"new: {len(people)} rows; seals what is new" in after.stdout


def test_a_key_that_is_needed_and_missing_is_told(
    database_url: str, people: list[uuid.UUID]
) -> None:
    missing = admin(database_url, NEW, "keys", "check")

    assert missing.returncode == 1
    assert f"old: {len(people)} rows, and NOT in FITTRACK_ENCRYPTION_KEYS" in missing.stdout
    refused = admin(database_url, NEW, "keys", "rotate")
    assert refused.returncode == 1
    assert refused.stdout.count("do not open") == len(people)
    assert "Traceback" not in refused.stderr
    assert tokens_of(database_url, OLD, people[0]) == "token of 0"


def test_a_row_that_does_not_open_is_named_and_keeps_no_other_from_being_sealed(
    database_url: str, people: list[uuid.UUID]
) -> None:
    damaged = sorted(people)[3]
    database = Database(database_url)
    change = update(GarminToken).where(GarminToken.user_id == damaged)
    database.run(lambda s: s.execute(change.values(ciphertext=b"1.old.damaged")))
    database.close()

    for _ in range(2):
        rotated = admin(database_url, f"{NEW},{OLD}", "keys", "rotate")
        assert rotated.returncode == 1
        assert rotated.stdout.count("do not open") == 1
        assert str(damaged) in rotated.stdout
    assert "old: 1 rows" in admin(database_url, f"{NEW},{OLD}", "keys", "check").stdout
    assert tokens_of(database_url, NEW, sorted(people)[4]).startswith("token of")


def test_sign_ins_during_a_rotation_lose_nothing(
    database_url: str, people: list[uuid.UUID]
) -> None:
    both = Keyring.parse(f"{NEW},{OLD}")
    database = Database(database_url)

    def save(i: int) -> None:
        fresh = garmin_tokens(f"fresh token of {i}")
        database.run(lambda session: TokenRepository(session, both).save(people[i], fresh))

    def rotate(_: int) -> int:
        return database.run(lambda session: SealedTokens(session, both).reseal(20)).sealed

    with ThreadPoolExecutor(8) as pool:
        saved = pool.map(save, range(0, PEOPLE, 5))
        sealed = pool.map(rotate, range(40))
        assert list(saved) == [None] * len(range(0, PEOPLE, 5))
        assert sum(sealed) <= PEOPLE
    database.close()

    assert admin(database_url, f"{NEW},{OLD}", "keys", "rotate").returncode == 0
    for i in range(0, PEOPLE, 23):
        kind = "fresh token" if i % 5 == 0 else "token"
        assert tokens_of(database_url, NEW, people[i]) == f"{kind} of {i}"


def test_a_new_key_is_one_that_the_service_accepts() -> None:
    first, second = (admin("sqlite://", OLD, "keys", "new", "2027a").stdout for _ in range(2))

    assert first != second
    assert Keyring.parse(first.strip()).sealing_key_id == "2027a"


def test_a_wrong_setting_is_one_clear_line() -> None:
    wrong = admin("sqlite://", "old:short", "keys", "check")

    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert "Traceback" not in wrong.stderr
