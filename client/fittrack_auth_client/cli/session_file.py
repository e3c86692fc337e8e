"""The one thing the command line keeps: the session, readable by its owner alone."""

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import platformdirs

from fittrack_auth_client.cli.errors import CliError
from fittrack_auth_client.cli.messages import rfc3339
from fittrack_auth_client.fields import Fields, MalformedError, moment, secret, text
from fittrack_auth_client.models import User
from fittrack_auth_client.secret import Secret


@dataclass(frozen=True, kw_only=True)
class StoredSession:
    server: str
    access_token: Secret
    session_id: str
    expires_at: datetime
    user: User

    @classmethod
    def read(cls, data: object) -> "StoredSession":
        fields = Fields(data)
        return cls(
            server=fields.get("server", text),
            access_token=fields.get("access_token", secret),
            session_id=fields.get("session_id", text),
            expires_at=fields.get("expires_at", moment),
            user=fields.get("user", User.read),
        )

    def reveal_json(self) -> str:
        """The file's text, access token included."""
        data = {
            "server": self.server,
            "access_token": self.access_token.reveal(),
            "session_id": self.session_id,
            "expires_at": rfc3339(self.expires_at),
            "user": {"id": self.user.id, "display_name": self.user.display_name},
        }
        return json.dumps(data, indent=2) + "\n"


class SessionFile:
    """Every method raises CliError(`session_file`) if the file or its folder can't be used."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_this_user(cls) -> "SessionFile":
        return cls(platformdirs.user_config_path("fittrack-auth", appauthor=False) / "session.json")

    def load(self) -> StoredSession | None:
        try:
            return StoredSession.read(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from None
        except (ValueError, RecursionError, MalformedError):
            message = f"{self.path} is damaged: delete it and log in again"
            raise CliError("session_file", message) from None

    def check_writable(self) -> None:
        """Called before a sign-in, so that its result can be stored."""
        try:
            self._prepare_folder()
            scratch = self._scratch()
            os.close(_create(scratch))
            scratch.unlink()
        except OSError as error:
            raise self._unusable(error) from None

    def save(self, session: StoredSession) -> None:
        """Write all of it or nothing, also if the machine stops half-way."""
        try:
            self._prepare_folder()
            self._replace(session.reveal_json().encode())
        except OSError as error:
            raise self._unusable(error) from None

    def delete(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from None

    def _prepare_folder(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.parent.chmod(0o700)

    def _scratch(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")

    def _replace(self, content: bytes) -> None:
        scratch = self._scratch()
        try:
            with os.fdopen(_create(scratch), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self.path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        _sync_folder(self.path.parent)

    def _unusable(self, error: OSError) -> CliError:
        return CliError("session_file", f"{self.path}: {error.strerror or 'unusable'}")


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _sync_folder(folder: Path) -> None:
    """Not every file system can; the file itself is whole either way."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
