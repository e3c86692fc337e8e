"""What is left out of libraries, and what API and worker therefore hold none of."""

import json
import subprocess
import sys

import pytest

from dev.processes import ROOT
from shared.imports import absent, unused, without_init

_SHOW = """
import gc, json
functions = [value for value in gc.get_objects() if type(value) is type(json.dumps)]
print(json.dumps(sorted({str(function.__globals__.get("__name__")) for function in functions})))
"""
"""Modules whose functions are in memory, also those that are no longer in `sys.modules`."""

_API = "import api.command, api.http.protocol, api.startup"
_WORKER = """
import worker.command, worker.program, worker.startup
import shared.database.dialect, worker.drivers.garth
"""

_OF_BOTH = {
    "alembic",
    "greenlet",
    "logfire",
    "opentelemetry",
    "redis.cluster",
    "redis.keyspace_notifications",
    "rich",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.pg8000",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
    "tornado",
}
_OF_API = {
    "celery",
    "http.server",
    "jinja2",
    "kombu",
    "pydantic_settings",
    "redis.asyncio.cluster",
    "requests",
    "urllib.request",
    "wsgiref.simple_server",
}
_OF_WORKER = {
    "amqp.channel",
    "amqp.connection",
    "celery.bin.celery",
    "cffi",
    "chardet",
    "charset_normalizer",
    "curl_cffi",
    "garminconnect",
    "garth.data",
    "garth.stats",
    "garth.users",
    "msgpack",
    "oauthlib.oauth2",
    "psutil",
    "pydantic_settings.sources.providers.cli",
    "pygments",
    "redis.asyncio.client",
    "starlette",
    "yaml",
}


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("imports", "left_out", "needed"),
    [
        (_API, _OF_BOTH | _OF_API, "redis.asyncio.client"),
        (_WORKER, _OF_BOTH | _OF_WORKER, "garth.sso"),
    ],
    ids=["api", "worker"],
)
def test_a_process_holds_nothing_of_what_it_does_not_use(
    imports: str, left_out: set[str], needed: str
) -> None:
    modules = set(json.loads(run(imports + _SHOW)))
    assert needed in modules
    packages = tuple(f"{name}." for name in left_out)
    assert [name for name in modules if f"{name}.".startswith(packages)] == []


def test_what_is_absent_in_a_block_is_there_after_it() -> None:
    json = sys.modules["json"]
    with absent("json"), pytest.raises(ImportError):
        import json.decoder
    assert sys.modules["json"] is json


def test_what_is_unused_in_a_block_has_every_name_there() -> None:
    with unused("wave"):
        from wave import Wave_read, anything  # type: ignore[attr-defined]

        assert not isinstance(object(), Wave_read)
        assert anything is not Wave_read
    import wave

    assert wave.Wave_read is not Wave_read


def test_modules_can_be_imported_without_their_packages_init() -> None:
    import xml.etree.ElementTree as complete

    with without_init("xml.etree", "ElementPath"):
        from xml.etree import ElementPath, ElementTree

        package = vars(sys.modules["xml.etree"])
    assert package["iterfind"] is ElementPath.iterfind
    assert ElementTree is not complete
    assert sys.modules["xml.etree.ElementTree"] is complete


def test_a_package_that_is_not_there_is_named() -> None:
    with (
        pytest.raises(ModuleNotFoundError, match=r"No module named 'xml\.nothing'"),
        without_init("xml.nothing"),
    ):
        pass
