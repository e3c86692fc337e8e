"""A connect session: what the app asked for, and how far the person has come.

Times are in milliseconds, by Redis' clock.
"""

import uuid
from enum import StrEnum

from shared.accounts.appearance import Appearance
from shared.crypto.secret import Sealable, Secret
from shared.errors import JobErrorCode
from shared.garmin.types import GarminDomain
from shared.jobs.states import JobKind
from shared.origin import Origin

LIFETIME = 15 * 60_000
"""How long a session waits for the person; longer while a job runs or a challenge is open."""

LONGEST = 60 * 60_000
"""How long a session lives in any case, however many challenges it has opened."""


class ConnectMethod(StrEnum):
    """The ways in which a person can connect."""

    PASSWORD = "password"  # noqa: S105 - a name, no secret
    PERSONAL_API_KEY = "personal_api_key"
    IMPORT = "import"


class ConnectStatus(StrEnum):
    OPEN = "open"
    CODE_REQUIRED = "code_required"
    CONNECTED = "connected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Wish(Sealable):
    """What the app asked for. `methods` are in the order in which they are shown."""

    user_id: str
    return_url: str | None = None
    embed_origin: str | None = None
    domain: GarminDomain = GarminDomain.COM
    locale: str | None = None
    methods: tuple[ConnectMethod, ...] = tuple(ConnectMethod)


class AppShown(Sealable):
    """The app, as the operator describes it."""

    client_id: uuid.UUID
    display_name: str
    accent: str | None = None

    @classmethod
    def of(cls, client_id: uuid.UUID, name: str, appearance: Appearance) -> "AppShown":
        shown = appearance.display_name or name
        return cls(client_id=client_id, display_name=shown, accent=appearance.accent)


class Attempt(Sealable):
    """The job that the person waits for."""

    job_id: str
    poll_token: Secret
    kind: JobKind
    submitted_at: int
    origin: Origin


class Code(Sealable):
    """An open challenge. `attempts_left` codes may be tried."""

    challenge_id: Secret
    mfa_type: str
    mfa_destination: str | None
    sent_at: int
    expires_at: int
    attempts_left: int
    can_resend: bool = False


class ConnectError(Sealable):
    """Why the last attempt failed. `until`: when trying again makes sense."""

    code: JobErrorCode
    message: str
    until: int | None = None


class ConnectedUser(Sealable):
    id: str
    display_name: str


class ConnectSession(Sealable):
    """Sealed as one, under its id: nothing of it can be changed or moved in Redis."""

    id: str
    app: AppShown
    wish: Wish
    created_at: int
    opened: bool = False
    cancelled: bool = False
    attempt: Attempt | None = None
    code: Code | None = None
    error: ConnectError | None = None
    user: ConnectedUser | None = None

    @property
    def expires_at(self) -> int:
        """Return when the session ends without the person."""
        times = [self.created_at + LIFETIME]
        if self.attempt is not None:
            times.append(self.attempt.submitted_at + LIFETIME)
        if self.code is not None:
            times.append(self.code.expires_at)
        return min(max(times), self.created_at + LONGEST)

    def status(self, now: int) -> ConnectStatus:
        if self.user is not None:
            return ConnectStatus.CONNECTED
        if self.cancelled:
            return ConnectStatus.CANCELLED
        if self.code is not None and now < self.expires_at:
            return ConnectStatus.CODE_REQUIRED
        if self.error is not None and self.attempt is None:
            return ConnectStatus.FAILED
        return ConnectStatus.OPEN if now < self.expires_at else ConnectStatus.EXPIRED

    def has_ended(self, now: int) -> bool:
        """Return whether the person can do nothing more in this session."""
        return self.user is not None or self.cancelled or now >= self.expires_at
