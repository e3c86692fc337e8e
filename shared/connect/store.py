"""Connect sessions in Redis, sealed.

`fittrack:connect:<id>` is a session. Its id is part of the hash of its token: who has the token
finds the session, who has the id can't find the token. It stays a day after its end, for the app
that wants to know how it ended.
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import SecretStr, ValidationError

from shared.audit import outbox
from shared.audit.events import Event
from shared.connect.errors import ConnectSessionNotFoundError
from shared.connect.session import AppShown, ConnectSession, Wish
from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.tokens import new_token
from shared.errors import SealBrokenError, ServiceUnavailableError
from shared.redis.clock import redis_ms
from shared.redis.connection import LuaScript, Redis, redis_errors_translated

_KEPT_AFTER_END = 86_400_000
_TRIES = 5


@dataclass(frozen=True)
class Kept:
    """A session as it was read at `now`."""

    session: ConnectSession
    now: int
    sealed: bytes = field(repr=False)


Change = Callable[[Kept], "tuple[ConnectSession, Event | None]"]
"""Returns the changed session, and an audit event to write in the same step."""


def session_id(token: str) -> str:
    digest = hashlib.sha256(f"connect session\0{token}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16]))


class ConnectSessions:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis, keyring: Keyring) -> None:
        self._redis = redis
        self._keyring = keyring
        self._events = outbox.key(redis.keyspace)
        self._read = LuaScript(redis, __package__, "connect_read")
        self._replace = LuaScript(redis, __package__, "connect_replace")

    @redis_errors_translated
    def create(self, app: AppShown, wish: Wish) -> tuple[Kept, SecretStr]:
        """Create a session; return it with its token, which is stored nowhere."""
        token, now = new_token(), redis_ms(self._redis)
        session = ConnectSession(id=session_id(token), app=app, wish=wish, created_at=now)
        sealed = self._seal(session)
        self._write(session, sealed, now)
        return Kept(session, now, sealed), SecretStr(token)

    @redis_errors_translated
    def read(self, session_id: str) -> Kept:
        """Raise ConnectSessionNotFoundError, also if what is kept does not open."""
        sealed, now = self._read(self._key(session_id))
        try:
            revealed = self._keyring.open(sealed, Purpose.CONNECT_SESSION, session_id)
            return Kept(ConnectSession.from_revealed(revealed), now, sealed)
        except (SealBrokenError, ValidationError):
            # It is gone, its key was dropped, or it is of another version.
            raise ConnectSessionNotFoundError from None

    @redis_errors_translated
    def update(self, kept: Kept, change: Change) -> Kept:
        """Change a session; if it has changed meanwhile, change what it is now.

        `change` may raise what it likes. Raises ConnectSessionNotFoundError.
        """
        for _ in range(_TRIES):
            session, event = change(kept)
            if session == kept.session:
                return kept
            sealed = self._seal(session)
            if self._write(session, sealed, kept.now, kept.sealed, event):
                return Kept(session, kept.now, sealed)
            kept = self.read(session.id)
        raise ServiceUnavailableError("redis")

    def _write(
        self,
        session: ConnectSession,
        sealed: bytes,
        now: int,
        expected: bytes | None = None,
        event: Event | None = None,
    ) -> bool:
        return bool(
            self._replace(
                self._key(session.id),
                self._events,
                sealed=sealed,
                expected=expected,
                ttl=session.expires_at - min(now, session.expires_at) + _KEPT_AFTER_END,
                event=event.model_dump_json(exclude_none=True) if event else None,
                event_limit=outbox.MAX_LENGTH,
                event_ttl=outbox.TTL,
            )
        )

    def _seal(self, session: ConnectSession) -> bytes:
        return self._keyring.seal(session.reveal(), Purpose.CONNECT_SESSION, session.id)

    def _key(self, session_id: str) -> str:
        return self._redis.keyspace.key("connect", session_id)
