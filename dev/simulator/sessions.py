"""Sign-ins in progress: the SSO session of a SESSION cookie, and its challenge."""

import base64
import secrets
import uuid
from dataclasses import dataclass, field

from dev.simulator.accounts import Account


@dataclass(frozen=True)
class SentCode:
    """A code as it was sent or, for an authenticator app, as the app shows it."""

    username: str
    code: str
    method: str
    destination: str | None
    sent_at: float
    number: int


@dataclass
class Challenge:
    """A code that a sign-in needs: the codes that are right, and when each expires."""

    account: Account
    codes: dict[str, float] = field(default_factory=dict)
    sent_at: float | None = None
    wrong_codes: int = 0
    done: bool = False

    def is_right(self, code: str, now: float) -> bool:
        return self.codes.get(code, 0) > now and not self.done

    def is_expired(self, now: float) -> bool:
        return bool(self.codes) and max(self.codes.values()) <= now


@dataclass
class SsoSession:
    """The session of one SESSION cookie. `service` is what the person signs in to."""

    cookie: str
    domain: str
    client: str
    expires_at: float
    service: str = ""
    csrf: str = ""
    account: Account | None = None
    challenge: Challenge | None = None
    login_token: str = ""


class SsoSessions:
    """Sessions by cookie; each belongs to one domain."""

    def __init__(self) -> None:
        self._sessions: dict[str, SsoSession] = {}

    def open(self, domain: str, client: str, expires_at: float) -> SsoSession:
        cookie = base64.b64encode(str(uuid.uuid4()).encode()).decode().rstrip("=")
        csrf = secrets.token_hex(46).upper()
        session = SsoSession(cookie, domain, client, expires_at, csrf=csrf)
        self._sessions[cookie] = session
        return session

    def find(self, cookie: str | None, domain: str, now: float) -> SsoSession | None:
        session = self._sessions.get(cookie or "")
        if session is None or session.domain != domain or session.expires_at <= now:
            return None
        return session

    def expire(self, username: str | None = None) -> int:
        """Forget all sessions, or one person's; return how many."""
        expired = [
            cookie
            for cookie, session in self._sessions.items()
            if username is None or (session.account and session.account.username == username)
        ]
        for cookie in expired:
            del self._sessions[cookie]
        return len(expired)

    def expire_codes(self, username: str | None = None) -> int:
        """Expire the codes of all challenges, or of one person's; return how many challenges."""
        challenges = [
            session.challenge
            for session in self._sessions.values()
            if session.challenge is not None
            and username in (None, session.challenge.account.username)
        ]
        for challenge in challenges:
            challenge.codes = dict.fromkeys(challenge.codes, 0.0)
        return len(challenges)
