"""Garmin tokens: sealed for one user, and resealed with another key."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dev.stack import new_key
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.models import GarminToken
from shared.database.sealed_rows import SealedRows
from shared.errors import SealBrokenError
from shared.garmin.types import GarminIdentity
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import (
    ANNA,
    BOB,
    TOKEN,
    garmin_tokens,
)


def test_saved_tokens_load_unchanged(repos: Repositories) -> None:
    tokens = garmin_tokens()
    user_id = repos.sign_in(tokens=tokens).user_id
    assert repos.load_tokens(user_id) == tokens


def test_loading_missing_tokens_returns_none(repos: Repositories) -> None:
    assert repos.load_tokens(uuid.uuid4()) is None


def test_loading_tokens_past_refresh_returns_none(repos: Repositories) -> None:
    tokens = garmin_tokens(refreshable=timedelta(seconds=-1))
    user_id = repos.sign_in(tokens=tokens).user_id
    assert repos.load_tokens(user_id) is None


def test_deleted_tokens_are_gone(repos: Repositories) -> None:
    anna, bob = repos.sign_in().user_id, repos.sign_in(BOB).user_id
    assert repos.tokens(lambda tokens: tokens.delete(anna))
    assert repos.load_tokens(anna) is None
    assert not repos.tokens(lambda tokens: tokens.delete(anna))
    assert repos.load_tokens(bob) is not None


def test_tokens_copied_to_another_user_do_not_open(repos: Repositories) -> None:
    anna, bob = repos.sign_in().user_id, repos.sign_in(BOB).user_id

    def steal(session: Session) -> None:
        sealed = session.execute(
            select(GarminToken.ciphertext).where(GarminToken.user_id == anna)
        ).scalar_one()
        session.execute(
            update(GarminToken).where(GarminToken.user_id == bob).values(ciphertext=sealed)
        )

    repos.database.run(steal)
    with pytest.raises(SealBrokenError):
        repos.load_tokens(bob)
    assert repos.load_tokens(anna) is not None


def test_tokens_do_not_open_with_another_key_of_the_same_name(repos: Repositories) -> None:
    user_id = repos.sign_in().user_id
    stranger = Keyring.parse(new_key("test"))
    with pytest.raises(SealBrokenError):
        repos.database.run(lambda s: TokenRepository(s, stranger).load(user_id))


def test_saving_again_seals_with_the_first_key(repos: Repositories) -> None:
    user_id = repos.sign_in().user_id
    assert key_ids(repos) == ["test"]
    old = repos.keyring
    new = Keyring.parse(new_key("new"))
    repos.keyring = Keyring({**new._keys, **old._keys})
    tokens = repos.load_tokens(user_id)
    assert tokens is not None
    repos.tokens(lambda repository: repository.save(user_id, tokens))
    assert key_ids(repos) == ["new"]
    assert repos.load_tokens(user_id) == tokens


def key_ids(repos: Repositories) -> list[str]:
    return list(repos.database.run(lambda s: s.execute(select(GarminToken.key_id)).scalars()))


def test_a_failed_save_keeps_the_earlier_tokens(repos: Repositories) -> None:
    tokens = garmin_tokens()
    user_id = repos.sign_in(tokens=tokens).user_id
    with pytest.raises(IntegrityError):
        repos.tokens(lambda repository: repository.save(user_id, garmin_tokens("new", driver="")))
    assert repos.load_tokens(user_id) == tokens


def rotated(repos: Repositories) -> tuple[Keyring, Keyring]:
    """Return a new keyring, and one with the new key in front of the old one."""
    new = Keyring.parse(new_key("new"))
    return new, Keyring({**new._keys, **repos.keyring._keys})


def reseal(repos: Repositories, keyring: Keyring, limit: int = 100) -> int:
    return repos.database.run(lambda s: SealedRows(s, keyring).reseal(limit)).sealed


def count_by_key(repos: Repositories) -> dict[str, int]:
    return repos.database.run(lambda s: SealedRows(s, repos.keyring).count_by_key())


def test_resealed_tokens_open_with_the_new_key_alone(repos: Repositories) -> None:
    tokens = {repos.sign_in(who, garmin_tokens(who.guid)).user_id: who.guid for who in (ANNA, BOB)}
    new, both = rotated(repos)
    assert count_by_key(repos) == {"test": 2}
    assert reseal(repos, both) == 2
    assert count_by_key(repos) == {"new": 2}
    assert reseal(repos, both) == 0
    repos.keyring = new
    for user_id, data in tokens.items():
        loaded = repos.load_tokens(user_id)
        assert loaded is not None
        assert loaded.data.get_secret_value() == data


def test_tokens_are_resealed_in_batches(repos: Repositories) -> None:
    for number in range(5):
        repos.sign_in(GarminIdentity(guid=f"guid-{number}", display_name="Anna"))
    _, both = rotated(repos)
    assert [reseal(repos, both, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_row_that_does_not_open_stays_and_does_not_stop_resealing(
    repos: Repositories,
) -> None:
    repos.sign_in(ANNA)
    bob = repos.sign_in(BOB).user_id
    _, both = rotated(repos)
    repos.database.run(
        lambda s: s.execute(
            update(GarminToken).where(GarminToken.user_id == bob).values(ciphertext=b"1.test.AAAA")
        )
    )
    batch = repos.database.run(lambda s: SealedRows(s, both).reseal(100))
    assert (batch.sealed, batch.broken) == (1, (f"user {bob}: the tokens",))
    assert count_by_key(repos) == {"test": 1, "new": 1}


def test_the_database_contains_no_token_in_plain_text(
    repos: Repositories, database_url: str
) -> None:
    access_token = new_token()
    repos.sign_in(access_token=access_token)
    repos.sign_in(tokens=garmin_tokens(TOKEN + " again"), access_token=new_token())
    content = dump(database_url)
    assert ANNA.guid.encode() in content
    for secret in (TOKEN, access_token):
        assert secret.encode() not in content
        assert secret.encode().hex().encode() not in content


def dump(url: str) -> bytes:
    """Return every row of every table, and the files of SQLite."""
    engine, tables = create_engine(url), MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        rows = [connection.execute(table.select()).all() for table in tables.sorted_tables]
    engine.dispose()
    content = repr(rows).encode()
    if database := make_url(url).database:
        files = [Path(database + suffix) for suffix in ("", "-wal")]
        content += b"".join(file.read_bytes() for file in files if file.is_file())
    return content
