"""A database whose disk is full: said to whoever wants to know, and no bug."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.database.engine import Database
from shared.errors import ServiceUnavailableError
from shared.redis.connection import Redis, connect
from shared.redis.database_disk import DatabaseDisk
from tests.databases import migrated_sqlite
from tests.shared.samples import nothing_listens


def fill(session: Session) -> None:
    session.execute(text("PRAGMA max_page_count = 1"))  # SQLite takes its present size for that
    session.execute(text("CREATE TABLE filler AS SELECT zeroblob(10000000) AS rows"))


def test_a_full_disk_is_reported(tmp_path: Path, redis: Redis) -> None:
    disk = DatabaseDisk(redis)
    database = Database(migrated_sqlite(tmp_path / "full.db"), on_full=disk.report_full)
    database.ping()
    assert not disk.is_full()
    with pytest.raises(ServiceUnavailableError):
        database.run(fill)
    assert disk.is_full()
    assert 0 < redis.ttl("fittrack:database-disk") <= 120
    database.close()


def test_that_redis_is_away_as_well_changes_nothing(tmp_path: Path) -> None:
    with connect(f"redis://{nothing_listens()}/0", timeout=1) as away:
        full = DatabaseDisk(away).report_full
        database = Database(migrated_sqlite(tmp_path / "full.db"), on_full=full)
        with pytest.raises(ServiceUnavailableError) as caught:
            database.run(fill)
        assert caught.value.args == ("database",)
        database.close()
