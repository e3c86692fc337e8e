"""Migrations run up and down on PostgreSQL and on SQLite, and make what the models say."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, CheckConstraint, create_engine, inspect, text

from dev.processes import ROOT, clean_environment
from dev.stack import BIN
from shared.database.engine import SCHEMA_REVISION, Database
from shared.database.models import Base
from tests.databases import alembic
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


@pytest.fixture
def user_with_password(postgres_url: str) -> Iterator[URL]:
    """A PostgreSQL user who has to give the password `db-password`."""
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        rules = Path(connection.execute(text("SHOW hba_file")).scalar_one())
        before = rules.read_bytes()
        connection.execute(text("CREATE USER fit PASSWORD 'db-password'"))
        rules.write_bytes(b"host all fit 127.0.0.1/32 scram-sha-256\n" + before)
        connection.execute(text("SELECT pg_reload_conf()"))
        yield engine.url.set(username="fit", password="db-password")
        rules.write_bytes(before)
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("DROP USER fit"))
    engine.dispose()


@pytest.mark.parametrize(
    ("password", "database", "cause"),
    [
        ("wrong-password", "postgres", "the server refuses the user name or the password"),
        ("db-password", "elsewhere", "the server has no such database or user"),
    ],
)
def test_a_refused_connection_is_told_in_one_line(
    user_with_password: URL, password: str, database: str, cause: str
) -> None:
    url = user_with_password.set(password=password, database=database)
    wait_until_a_password_is_asked_for(user_with_password)
    assert refusal(url.render_as_string(hide_password=False)) == cause


def wait_until_a_password_is_asked_for(url: URL) -> None:
    """PostgreSQL reads its rules again some time after it was told to."""
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at:
        try:
            psycopg.connect(
                host=url.host, port=url.port, user=url.username, dbname=url.database
            ).close()
        except psycopg.OperationalError:
            return
        time.sleep(0.05)
    pytest.fail("PostgreSQL lets the user in without a password")


def test_an_unreachable_database_is_told_in_one_line() -> None:
    url = f"postgresql+psycopg://fit:db-password@{nothing_listens()}/fit"
    assert refusal(url) == "the database does not answer"


def test_a_file_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    assert refusal(f"sqlite:///{tmp_path}/missing/fittrack.db") == (
        "the file can't be opened or created"
    )


def refusal(url: str) -> str:
    """The cause that alembic gives, in its only line."""
    ended = upgrade({"FITTRACK_DATABASE_URL": url})
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert "password@" not in line
    return line.removeprefix("alembic: FITTRACK_DATABASE_URL: ")


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
