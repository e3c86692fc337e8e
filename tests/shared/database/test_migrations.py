"""Migrations run up and down on PostgreSQL and on SQLite, and make what the models say."""

import subprocess

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import CheckConstraint, create_engine, inspect, text

from dev.processes import ROOT, clean_environment
from dev.stack import BIN
from shared.database.engine import SCHEMA_REVISION, Database
from shared.database.models import Base
from tests.shared.conftest import alembic
from tests.shared.samples import nothing_listens


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found - {"alembic_version"}


def test_migrations_run_up_down_and_up_again(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTRACK_DATABASE_URL", empty_database_url)
    wanted = set(Base.metadata.tables)
    assert tables(empty_database_url) == set()
    command.upgrade(alembic(), "head")
    assert tables(empty_database_url) == wanted
    command.downgrade(alembic(), "base")
    assert tables(empty_database_url) == set()
    command.upgrade(alembic(), "head")
    assert tables(empty_database_url) == wanted
    database = Database(empty_database_url)
    database.check_migrated()
    database.close()


def test_migrations_make_what_the_models_say(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTRACK_DATABASE_URL", database_url)
    command.check(alembic())


def test_migrations_make_the_checks_of_the_models(database_url: str) -> None:
    """alembic does not compare these."""
    engine = create_engine(database_url)
    found = {
        (table, check["name"])
        for table in Base.metadata.tables
        for check in inspect(engine).get_check_constraints(table)
    }
    engine.dispose()
    assert found == {
        (table.name, str(constraint.name))
        for table in Base.metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }


def test_a_table_that_differs_from_its_model_is_noticed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE users ADD COLUMN forgotten INTEGER"))
    engine.dispose()
    monkeypatch.setenv("FITTRACK_DATABASE_URL", database_url)
    with pytest.raises(CommandError, match="forgotten"):
        command.check(alembic())


def test_an_operator_may_migrate_twice(empty_database_url: str) -> None:
    for _ in range(2):
        assert upgrade({"FITTRACK_DATABASE_URL": empty_database_url}).returncode == 0
        assert tables(empty_database_url) == set(Base.metadata.tables)


@pytest.mark.parametrize("url", [None, "mysql://fit:db-password@127.0.0.1/fit"])
def test_a_faulty_url_is_told_in_one_line(url: str | None) -> None:
    settings = {} if url is None else {"FITTRACK_DATABASE_URL": url}
    ended = upgrade(settings)
    assert ended.returncode != 0
    assert ended.stderr.startswith("alembic: FITTRACK_DATABASE_URL: ")
    assert len(ended.stderr.splitlines()) == 1
    assert "db-password" not in ended.stdout + ended.stderr


def test_an_unreachable_database_fails_without_its_password() -> None:
    url = f"postgresql+psycopg://fit:db-password@{nothing_listens()}/fit"
    ended = upgrade({"FITTRACK_DATABASE_URL": url})
    assert ended.returncode != 0
    assert "db-password" not in ended.stdout + ended.stderr


def upgrade(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "alembic", "upgrade", "head"],
        cwd=ROOT,
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_revision_that_the_code_wants_is_the_newest() -> None:
    scripts = ScriptDirectory(str(ROOT / "shared" / "database" / "migrations"))

    assert scripts.get_current_head() == SCHEMA_REVISION
