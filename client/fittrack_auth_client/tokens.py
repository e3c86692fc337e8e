"""Garmin access tokens: asked for once, however many want one, and kept while they are good."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from fittrack_auth_client.errors import FitTrackAuthError, NoResultInTimeError
from fittrack_auth_client.models import Token
from fittrack_auth_client.secret import Secret

CACHE_SECONDS = 300.0
"""A token is asked for again after that time: the connection may have ended or moved."""
RECENT_SECONDS = 10.0
"""The service has nothing better than what it answered so shortly ago."""

Asking: TypeAlias = Future[FitTrackAuthError | None]


@dataclass(frozen=True)
class Wanted:
    """`rejected` is the SHA-256, in hex, of an access token that Garmin refused."""

    min_valid_for: int
    rejected: str | None = None

    @classmethod
    def of(cls, min_valid_for: int, rejected: Secret | None) -> "Wanted":
        return cls(min_valid_for, None if rejected is None else digest(rejected))

    @property
    def body(self) -> Mapping[str, str | int]:
        body: dict[str, str | int] = {"min_valid_for": self.min_valid_for}
        return body if self.rejected is None else {**body, "rejected": self.rejected}


def digest(secret: Secret) -> str:
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


@dataclass(frozen=True)
class _Kept:
    token: Token
    min_valid_for: int
    at: float = field(default_factory=lambda: time.monotonic())

    def if_good(self, wanted: Wanted) -> Token | None:
        age = time.monotonic() - self.at
        left = int(self.token.expires_in - age)
        is_as_asked = age < RECENT_SECONDS and wanted.min_valid_for <= self.min_valid_for
        is_good = left > wanted.min_valid_for or (left > 0 and is_as_asked)
        is_rejected = digest(self.token.access_token) == wanted.rejected
        if age >= CACHE_SECONDS or is_rejected or not is_good:
            return None
        return replace(self.token, expires_in=left)


class Turn:
    """The right to ask the service, while all others who want the same token wait."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.ended: Asking = Future()
        self.kept: _Kept | None = None

    def keep(self, token: Token) -> None:
        self.kept = _Kept(token, self.wanted.min_valid_for)


class TokenCache:
    """By name, which is a `user_id` or what stands for a session. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # oldest first
        self._turns: dict[str, Turn] = {}

    def find(self, name: str, wanted: Wanted) -> Token | Asking | Turn:
        """Return a good token, else what to wait for, else the caller's turn to ask."""
        with self._lock:
            kept = self._kept.get(name)
            token = kept and kept.if_good(wanted)
            if token:
                return token
            if name in self._turns:
                return self._turns[name].ended
            self._turns[name] = turn = Turn(wanted)
            return turn

    @contextmanager
    def asking(self, name: str, turn: Turn) -> Iterator[None]:
        """End the turn, however the block ends. Those who wait share an error of the service."""
        error = None
        try:
            yield
        except FitTrackAuthError as raised:
            error = None if isinstance(raised, NoResultInTimeError) else raised
            raise
        finally:
            with self._lock:
                if self._turns.get(name) is turn:
                    del self._turns[name]
                    self._store(name, turn.kept)
            turn.ended.set_result(error)

    def forget(self, name: str) -> None:
        """Forget a token, and what is being asked for."""
        with self._lock:
            self._kept.pop(name, None)
            self._turns.pop(name, None)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._turns.clear()

    def _store(self, name: str, kept: _Kept | None) -> None:
        self._kept.pop(name, None)
        if kept:
            self._kept[name] = kept
        while self._kept and time.monotonic() - next(iter(self._kept.values())).at > CACHE_SECONDS:
            self._kept.popitem(last=False)
