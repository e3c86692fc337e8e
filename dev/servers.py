"""Redis and PostgreSQL for development and tests: throwaway servers on 127.0.0.1."""

import os
import pwd
import signal
import tempfile
from functools import partial
from pathlib import Path

from dev.processes import Process, clean_environment, free_port, launch, says
from dev.server_programs import postgres_folder, redis_server

_SUPERUSER = "postgres"


class RedisServer(Process):
    """A Redis server with an append-only file, as in production."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.folder = folder
        options = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--dir": str(folder),
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            "--maxmemory-policy": "noeviction",
        }
        command = [str(redis_server()), *(part for pair in options.items() for part in pair)]
        # It takes connections before it has opened its files: only its log tells that it is ready.
        ready = says("Ready to accept connections")
        super().__init__("redis", command, folder / "redis.log", _environment(), ready)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class PostgresServer(Process):
    """A PostgreSQL server; the first in `folder` creates the cluster.

    PostgreSQL refuses to run as root: it then runs as `nobody`, and `folder` has to be in the
    system's temporary folder, where that user can be let in.
    """

    stop_signal = signal.SIGINT  # its "fast" shutdown, which does not wait for clients

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        data = folder / "postgres"
        if not data.exists():
            _create_cluster(folder, data)
        options = ("-p", str(self.port), "-k", "", "-h", "127.0.0.1", "-c", "fsync=off")
        super().__init__(
            "postgres",
            [postgres_folder() / "postgres", "-D", data, *options],
            folder / "postgres.log",
            _environment(),
            lambda process: "ready to accept connections" in process.output(),
            launch=partial(launch, user=_unprivileged()),
        )

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{_SUPERUSER}@127.0.0.1:{self.port}/postgres"


def _create_cluster(folder: Path, data: Path) -> None:
    data.mkdir(parents=True, mode=0o700)
    user = _unprivileged()
    if user is not None:
        os.chown(data, user.pw_uid, user.pw_gid)
        _let_others_through(folder)
    options = ("--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8")
    initdb = str(postgres_folder() / "initdb")
    command = [initdb, "-D", str(data), "-U", _SUPERUSER, *options]
    log, start = folder / "initdb.log", partial(launch, user=user)
    with Process("initdb", command, log, _environment(), _succeeded, launch=start):
        pass


def _let_others_through(folder: Path) -> None:
    """Let every user pass through `folder` and its parents, up to the temporary folder."""
    temporary = Path(tempfile.gettempdir()).resolve()
    inside = folder.resolve().relative_to(temporary)
    for depth in range(1, len(inside.parts) + 1):
        parent = temporary.joinpath(*inside.parts[:depth])
        parent.chmod(parent.stat().st_mode | 0o011)


def _unprivileged() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _succeeded(process: Process) -> bool:
    return process.wait(60) == 0


def _environment() -> dict[str, str]:
    """English messages, and no locale that this machine may lack."""
    return clean_environment({"LC_ALL": "C"})
