"""The folder of `make dev`: what has to survive a restart, and who uses it right now."""

import fcntl
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.processes import NotReadyError
from dev.stack import new_key


class FolderInUseError(RuntimeError):
    """Another process holds the folder. The text says which one."""


class DataFolder:
    """A folder that belongs to one process at a time; nobody else on the machine can read it."""

    def __init__(self, path: Path) -> None:
        """Make it, or take it over. Raises NotReadyError if it is another user's."""
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_uid != os.geteuid():
            raise NotReadyError(f"{path} belongs to another user")
        path.chmod(0o700)

    @contextmanager
    def locked(self, holder: str) -> Iterator[None]:
        """Keep others out of the folder. Raises FolderInUseError, with the other one's `holder`.

        The kernel gives the lock back when this process ends, however it ends.
        """
        with (self.path / "lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise FolderInUseError(file.read()) from None
            file.truncate(0)
            file.write(holder)
            file.flush()
            yield

    def encryption_key(self) -> str:
        """Return the key, made at the first call: nothing stored can be read without it."""
        path = self.path / "encryption-key"
        if not path.exists():
            _write_secret(path, new_key())
        return path.read_text(encoding="utf-8").strip()

    @contextmanager
    def settings_file(self, settings: Mapping[str, str]) -> Iterator[Path]:
        """Offer the settings to other programs, as lines that a shell reads, during the block."""
        path = self.path / "env"
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in sorted(settings.items()))
        _write_secret(path, "".join(lines))
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
