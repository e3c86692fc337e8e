"""The one thing this program keeps: the session, for its owner's eyes alone."""

import contextlib
import os
import secrets
from datetime import datetime
from pathlib import Path

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    SerializationInfo,
    ValidationError,
    field_serializer,
)

from cli.answers import User
from cli.codes import Code
from cli.trouble import Trouble


class StoredSession(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    server: str
    access_token: SecretStr
    session_id: str
    expires_at: datetime
    user: User

    @field_serializer("access_token")
    def _token(self, token: SecretStr, info: SerializationInfo) -> str:
        revealed = isinstance(info.context, dict) and info.context.get("reveal") is True
        return token.get_secret_value() if revealed else str(token)


class SessionFile:
    """`Trouble("session_file")` from every method if the disk or the file does not play along."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_this_user(cls) -> "SessionFile":
        return cls(platformdirs.user_config_path("fittrack-auth", appauthor=False) / "session.json")

    def load(self) -> StoredSession | None:
        try:
            return StoredSession.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble(error) from None
        except ValidationError:
            detail = f"{self.path} is damaged: delete it and log in again"
            raise Trouble(Code.SESSION_FILE, detail=detail) from None

    def check_writable(self) -> None:
        """To be asked before a sign-in, so that its result has a place to go."""
        try:
            self._prepare_folder()
            scratch = self._scratch()
            os.close(_create(scratch))
            scratch.unlink()
        except OSError as error:
            raise self._trouble(error) from None

    def save(self, session: StoredSession) -> None:
        """All of it or nothing, also if the machine stops half-way."""
        text = session.model_dump_json(indent=2, context={"reveal": True}) + "\n"
        try:
            self._prepare_folder()
            self._replace(text.encode())
        except OSError as error:
            raise self._trouble(error) from None

    def delete(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(error) from None

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

    def _trouble(self, error: OSError) -> Trouble:
        return Trouble(Code.SESSION_FILE, detail=f"{self.path}: {error.strerror or 'unusable'}")


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
