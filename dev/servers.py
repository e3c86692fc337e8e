"""Redis and PostgreSQL for development and tests: throwaway servers on 127.0.0.1."""

import os
import pwd
import shutil
import signal
import sys
from pathlib import Path

from dev.processes import Process, answers_on, clean_environment, free_port

_POSTGRES_USER = "postgres"


class RedisServer(Process):
    """`redis-server` with an append-only file, as in production."""

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
        command = ["redis-server", *(part for pair in options.items() for part in pair)]
        super().__init__(
            "redis", command, folder / "redis.log", clean_environment(), answers_on(self.port)
        )

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @staticmethod
    def installed() -> bool:
        return shutil.which("redis-server") is not None


class FakeRedisServer(Process):
    """fakeredis' TCP server, where no `redis-server` is installed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "dev.fake_redis", str(self.port)]
        super().__init__(
            "fakeredis",
            command,
            folder / "redis.log",
            clean_environment(),
            answers_on(self.port),
        )

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class PostgresServer(Process):
    """A fresh PostgreSQL cluster. As root it runs as the user `postgres`, who must exist."""

    stop_signal = signal.SIGINT  # its "fast" shutdown, which does not wait for clients

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        data = folder / "postgres"
        if not data.exists():
            _make_cluster(folder, data)
        options = ("-p", str(self.port), "-k", "", "-h", "127.0.0.1", "-c", "fsync=off")
        command = [*_as_postgres(), str(_binary("postgres")), "-D", str(data), *options]
        super().__init__(
            "postgres",
            command,
            folder / "postgres.log",
            clean_environment(),
            lambda process: "ready to accept connections" in process.output(),
        )

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{_POSTGRES_USER}@127.0.0.1:{self.port}/postgres"

    @staticmethod
    def installed() -> bool:
        return _find("initdb") is not None


def _make_cluster(folder: Path, data: Path) -> None:
    data.mkdir(parents=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam(_POSTGRES_USER)
        os.chown(data, user.pw_uid, user.pw_gid)
        for parent in (folder, *folder.parents):  # the other user has to get there
            if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o001 == 0:
                parent.chmod(parent.stat().st_mode | 0o011)
    options = ("-D", str(data), "-U", _POSTGRES_USER, "--auth=trust", "--no-sync", "-E", "UTF8")
    command = [*_as_postgres(), str(_binary("initdb")), *options]
    with Process("initdb", command, folder / "initdb.log", clean_environment(), _ended):
        pass


def _ended(process: Process) -> bool:
    return process.wait(60) == 0


def _as_postgres() -> list[str]:
    return ["runuser", "-u", _POSTGRES_USER, "--"] if os.geteuid() == 0 else []


def _binary(name: str) -> Path:
    found = _find(name)
    if found is None:
        message = f"PostgreSQL's {name} is not installed"
        raise FileNotFoundError(message)
    return found


def _find(name: str) -> Path | None:
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    # Where Debian keeps them; the newest version first.
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return versions[0] if versions else None
