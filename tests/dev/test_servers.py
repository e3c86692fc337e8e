"""Servers start on every machine, and tests get clean databases from them."""

import os
from pathlib import Path

import psutil
import pytest
from redis import Redis

from dev import server_programs
from dev.server_programs import ProgramMissingError
from dev.servers import PostgresServer, RedisServer
from tests.databases import PostgresDatabases, execute


def test_redis_keeps_what_it_was_told_when_it_is_started_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        redis.set("name", "value")
    with RedisServer(tmp_path, server.port), Redis.from_url(server.url) as redis:
        assert redis.get("name") == b"value"


def test_postgresql_never_runs_as_root(postgres_server: PostgresServer) -> None:
    assert psutil.Process(postgres_server.pid).uids().effective != 0


def test_as_root_no_folder_outside_the_temporary_one_is_opened_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with pytest.raises(ValueError, match="home"):
        PostgresServer(home)
    assert home.stat().st_mode & 0o077 == 0


def test_a_server_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_programs, "_CHOICE", "system")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ProgramMissingError, match="redis-server is not installed"):
        server_programs.redis_server()


def test_servers_of_an_unknown_kind_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_programs, "_CHOICE", "sytsem")
    with pytest.raises(ProgramMissingError, match="'wheels' or 'system'"):
        server_programs.postgres_folder()


def test_a_database_is_used_again_without_its_rows(postgres_databases: PostgresDatabases) -> None:
    with postgres_databases.migrated() as first:
        columns = "id, garmin_guid, domain, display_name, created_at, updated_at"
        values = "gen_random_uuid(), 'guid', 'garmin.com', 'Anna', now(), now()"
        execute(first, f"INSERT INTO users ({columns}) VALUES ({values})")  # noqa: S608
    with postgres_databases.migrated() as second:
        assert second == first
        assert execute(second, "SELECT count(*) FROM users") == 0


@pytest.mark.parametrize(
    "change", ["CREATE TABLE notes (id INTEGER)", "ALTER TABLE users ADD COLUMN note TEXT"]
)
def test_a_database_with_another_schema_is_not_used_again(
    postgres_databases: PostgresDatabases, change: str
) -> None:
    with postgres_databases.migrated() as first:
        execute(first, change)
    with postgres_databases.migrated() as second:
        assert second != first


def test_an_empty_database_has_no_tables_the_next_time(
    postgres_databases: PostgresDatabases,
) -> None:
    with postgres_databases.empty() as first:
        execute(first, "CREATE TABLE notes (id INTEGER)")
    with postgres_databases.empty() as second:
        assert execute(second, "SELECT to_regclass('notes')") is None
