"""Migrations run up and down on both databases, and match the models."""

import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import (
    URL,
    CheckConstraint,
    Connection,
    MetaData,
    Uuid,
    create_engine,
    inspect,
    select,
    text,
)

from dev.processes import ROOT, clean_environment
from dev.stack import BIN
from shared.accounts.connections import ConnectionRepository
from shared.accounts.states import ConnectionState, Method
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring, Purpose
from shared.database.engine import SCHEMA_REVISION, Database
from shared.database.models import ApiClient, Base, GarminToken, UtcDateTime
from tests.databases import alembic
from tests.shared.samples import garmin_tokens, nothing_listens


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names - {"alembic_version"}


def test_migrations_run_up_down_and_up_again(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTRACK_DATABASE_URL", empty_database_url)
    expected = set(Base.metadata.tables)
    assert tables(empty_database_url) == set()
    command.upgrade(alembic(), "head")
    assert tables(empty_database_url) == expected
    command.downgrade(alembic(), "base")
    assert tables(empty_database_url) == set()
    command.upgrade(alembic(), "head")
    assert tables(empty_database_url) == expected
    database = Database(empty_database_url)
    database.check_migrated()
    database.close()


def test_migrations_create_the_tables_of_the_models(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTRACK_DATABASE_URL", database_url)
    command.check(alembic())


def test_migrations_create_the_check_constraints_of_the_models(database_url: str) -> None:
    """`alembic check` does not compare them."""
    engine = create_engine(database_url)
    checks = {
        (table, check["name"])
        for table in Base.metadata.tables
        for check in inspect(engine).get_check_constraints(table)
    }
    engine.dispose()
    assert checks == {
        (table.name, str(constraint.name))
        for table in Base.metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }


def test_tokens_and_connections_go_up_to_0006_and_down_again(
    empty_database_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTRACK_DATABASE_URL", empty_database_url)
    command.upgrade(alembic(), "0005")
    engine = create_engine(empty_database_url)
    now, users, client_id = datetime.now(UTC), [uuid.uuid4(), uuid.uuid4()], uuid.uuid4()
    tokens = {users[0]: garmin_tokens("a"), users[1]: garmin_tokens("b", driver="garminconnect")}
    old = MetaData()
    old.reflect(engine)
    with engine.begin() as connection:
        for number, (user_id, stored) in enumerate(tokens.items()):
            _insert(
                connection,
                old,
                "users",
                {
                    "id": user_id,
                    "garmin_guid": f"guid-{number}",
                    "domain": "garmin.com",
                    "display_name": "Anna",
                    "created_at": now,
                    "updated_at": now,
                },
            )
            _insert(
                connection,
                old,
                "garmin_tokens",
                {
                    "user_id": user_id,
                    "driver": stored.driver,
                    "key_id": keyring.sealing_key_id,
                    "ciphertext": keyring.seal(
                        stored.reveal(), Purpose.GARMIN_TOKENS, str(user_id)
                    ),
                    "access_expires_at": stored.access_expires_at,
                    "refresh_expires_at": stored.refresh_expires_at,
                    "created_at": now,
                    "updated_at": now,
                },
            )
        _insert(
            connection,
            old,
            "api_clients",
            {
                "id": client_id,
                "name": "app",
                "key_hash": "a" * 64,
                "created_at": now,
            },
        )
        _insert(
            connection,
            old,
            "client_links",
            {
                "client_id": client_id,
                "client_user_id": "member-1",
                "user_id": users[0],
                "created_at": now,
                "updated_at": now,
            },
        )
    command.upgrade(alembic(), "0006")
    database = Database(empty_database_url)
    for user_id, stored in tokens.items():
        assert database.run(lambda s: TokenRepository(s, keyring).load(user_id)) == stored  # noqa: B023
    rows = database.run(lambda s: list(s.scalars(select(GarminToken))))
    assert {row.id for row in rows} == set(users) == {row.user_id for row in rows}
    due = {row.user_id: row.refresh_due_at for row in rows}
    second = timedelta(seconds=1)
    assert abs(due[users[0]] - tokens[users[0]].refresh_expires_at + timedelta(days=14)) < second
    assert abs(due[users[1]] - now - timedelta(days=7)) < second
    view = database.run(lambda s: ConnectionRepository(s).view(client_id, "member-1"))
    assert (view.user_id, view.garmin.standing.since) == (users[0], now)
    assert view.garmin.standing.state is ConnectionState.ACTIVE
    assert database.run(lambda s: s.scalar(select(ApiClient.scopes))) == "sign_in,connections"

    # A row that came later has an id of its own, to which its seal is bound.
    read_only = database.run(
        lambda s: TokenRepository(s, keyring).save(
            users[0], garmin_tokens("c"), Method.PERSONAL_API_KEY
        )
    )
    assert read_only not in users
    database.close()
    command.downgrade(alembic(), "0005")
    with engine.connect() as connection:
        sealed = connection.execute(text("SELECT ciphertext FROM garmin_tokens")).scalars().all()
        link = old.tables["client_links"]
        assert connection.execute(select(link.c.client_user_id, link.c.user_id)).all() == [
            ("member-1", users[0])
        ]
    engine.dispose()
    assert len(sealed) == len(users)
    command.upgrade(alembic(), "head")


def _insert(connection: Connection, tables: MetaData, name: str, values: dict[str, Any]) -> None:
    """Insert a row into a table as the database has it."""
    table = tables.tables[name]
    for column in table.columns:
        if isinstance(values.get(column.name), uuid.UUID):
            column.type = Uuid()
        if isinstance(values.get(column.name), datetime):
            column.type = UtcDateTime()
    connection.execute(table.insert().values(values))


def test_a_table_that_differs_from_its_model_is_detected(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE users ADD COLUMN forgotten INTEGER"))
    engine.dispose()
    monkeypatch.setenv("FITTRACK_DATABASE_URL", database_url)
    with pytest.raises(CommandError, match="forgotten"):
        command.check(alembic())


def test_upgrading_twice_changes_nothing(empty_database_url: str) -> None:
    for _ in range(2):
        assert upgrade({"FITTRACK_DATABASE_URL": empty_database_url}).returncode == 0
        assert tables(empty_database_url) == set(Base.metadata.tables)


@pytest.mark.parametrize("url", [None, "mysql://fit:db-password@127.0.0.1/fit"])
def test_an_invalid_url_prints_one_line(url: str | None) -> None:
    settings = {} if url is None else {"FITTRACK_DATABASE_URL": url}
    result = upgrade(settings)
    assert result.returncode != 0
    assert result.stderr.startswith("alembic: FITTRACK_DATABASE_URL: ")
    assert len(result.stderr.splitlines()) == 1
    assert "db-password" not in result.stdout + result.stderr


@pytest.fixture
def user_with_password(postgres_url: str) -> Iterator[URL]:
    """A PostgreSQL user whose password, `db-password`, is required."""
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
        ("wrong-password", "postgres", "the server rejects the user name or the password"),
        ("db-password", "elsewhere", "the server has no such database or user"),
    ],
)
def test_a_refused_connection_prints_one_line(
    user_with_password: URL, password: str, database: str, cause: str
) -> None:
    url = user_with_password.set(password=password, database=database)
    wait_until_a_password_is_required(user_with_password)
    assert refusal(url.render_as_string(hide_password=False)) == cause


def wait_until_a_password_is_required(url: URL) -> None:
    """PostgreSQL reloads its rules a moment after the request."""
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


def test_an_unreachable_database_prints_one_line() -> None:
    url = f"postgresql+psycopg://fit:db-password@{nothing_listens()}/fit"
    assert refusal(url) == "the database does not answer"


def test_a_file_that_can_not_be_created_prints_one_line(tmp_path: Path) -> None:
    assert refusal(f"sqlite:///{tmp_path}/missing/fittrack.db") == (
        "the file can't be opened or created"
    )


def refusal(url: str) -> str:
    """Return the cause in the single line that alembic prints."""
    result = upgrade({"FITTRACK_DATABASE_URL": url})
    assert result.returncode == 1
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
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


def test_the_expected_revision_is_the_newest() -> None:
    scripts = ScriptDirectory(str(ROOT / "shared" / "database" / "migrations"))

    assert scripts.get_current_head() == SCHEMA_REVISION
