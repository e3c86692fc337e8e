"""The state of the simulated Garmin: sessions, tokens, codes, counters and settings."""

import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Collection

from dev.simulator.accounts import Account, account_for
from dev.simulator.counters import Count, Counters
from dev.simulator.faults import Faults, Refusals
from dev.simulator.issued import IssuedSecrets
from dev.simulator.keys import PersonalKeys
from dev.simulator.messages import Request
from dev.simulator.sessions import Challenge, SentCode, SsoSession, SsoSessions
from dev.simulator.settings import Fault, Settings
from dev.simulator.tokens import Ticket, Tokens
from dev.simulator.words import Outcome


class State:
    """The state shared by all handlers. Used from one thread only, so it needs no locks."""

    def __init__(self, settings: Settings) -> None:
        self._initial_settings = settings
        self.reset()

    def reset(self) -> None:
        """Restore the initial settings; drop counters, sessions, codes and tokens."""
        self.counters = Counters()
        self.sessions = SsoSessions()
        self.tokens = Tokens()
        self.issued = IssuedSecrets()
        self.keys = PersonalKeys()
        self.personal_requests: dict[Account, deque[float]] = {}
        self._codes: dict[str, list[SentCode]] = {}
        self._profile_failures: Counter[Account] = Counter()
        self._lost_refreshes: Counter[Account] = Counter()
        self.configure(self._initial_settings, Settings.model_fields)

    def configure(self, settings: Settings, changed: Collection[str]) -> None:
        """Replace the settings; faults and refusals start counting anew only if in `changed`."""
        self.settings = settings
        if "faults" in changed:
            self.faults = Faults(settings.faults)
        if "refuse" in changed:
            self.refusals = Refusals(settings.refuse)

    def add_fault(self, fault: Fault) -> None:
        """Append a fault; earlier ones keep counting."""
        faults = (*self.settings.faults, fault)
        self.settings = self.settings.model_copy(update={"faults": faults})
        self.faults.add(fault)

    def now(self) -> float:
        return time.time() + self.settings.clock_offset_s

    def account(self, username: str, domain: str) -> Account:
        return account_for(username, domain)

    def count(self, name: Count, account: Account | None = None, client: str | None = None) -> None:
        self.counters.count(name, account.username if account else None, client)

    def open_session(self, domain: str, client: str) -> SsoSession:
        session = self.sessions.open(domain, client, self.now() + self.settings.session_ttl_s)
        self.issued.record("csrf", session.csrf)
        return session

    def find_session(self, request: Request) -> SsoSession | None:
        """Return the session of the request's SESSION cookie, unless it has expired."""
        return self.sessions.find(request.cookies.get("SESSION"), request.domain, self.now())

    def open_challenge(self, session: SsoSession, account: Account) -> Challenge:
        """Make the session wait for a code. An authenticator app has its code already."""
        challenge = session.challenge = Challenge(account)
        if account.method is not None and account.destination is None:
            self._make_code(challenge)
        return challenge

    def send_code(self, challenge: Challenge, client: str) -> None:
        """Send a new code; earlier ones stay valid until they expire."""
        self._make_code(challenge)
        self.count("codes_sent", challenge.account, client)

    def check_code(self, session: SsoSession, challenge: Challenge, code: str) -> Outcome:
        """Check a code against the challenge; a right one closes it."""
        account = challenge.account
        if account.code not in (Outcome.ACCEPTED, Outcome.CUT_AFTER, Outcome.NO_MORE_CODES):
            return account.code
        if challenge.wrong_codes >= self.settings.max_wrong_codes:
            return Outcome.EXHAUSTED
        if challenge.is_right(code, self.now()):
            challenge.done = True
            self.count("codes_accepted", account, session.client)
            return Outcome.ACCEPTED
        if challenge.is_expired(self.now()):
            return Outcome.EXPIRED
        challenge.wrong_codes += 1
        return Outcome.NO_MORE_CODES if account.code is Outcome.NO_MORE_CODES else Outcome.WRONG

    def codes(self, username: str) -> list[SentCode]:
        """Return the codes of one person, oldest first."""
        return self._codes.get(username.strip().lower(), [])

    def issue_ticket(self, account: Account, client: str, service: str, suffix: str) -> Ticket:
        self.count("tickets_issued", account, client)
        expires_at = self.now() + self.settings.ticket_ttl_s
        ticket = self.tokens.new_ticket(account, client, service, expires_at, suffix)
        self.issued.record("ticket", ticket.value)
        return ticket

    def redeem(self, ticket: Ticket) -> None:
        ticket.used = True
        self.count("tickets_redeemed", ticket.account, ticket.client)

    def access_ttl(self) -> int:
        """Seconds; recorded lifetimes lie between 65481 and 107182."""
        return self.settings.access_ttl_s or random.randint(65481, 107182)  # noqa: S311

    def profile_fails(self, account: Account) -> bool:
        """Count a profile request; return whether it is one that has to fail."""
        self._profile_failures[account] += 1
        return self._profile_failures[account] <= account.profile_failures

    def refresh_is_lost(self, account: Account) -> bool:
        """Count a refresh; return whether its answer is one that has to be lost."""
        self._lost_refreshes[account] += 1
        return self._lost_refreshes[account] <= account.lost_refreshes

    def _make_code(self, challenge: Challenge) -> None:
        account, now = challenge.account, self.now()
        alphabet, length = self.settings.code_alphabet, self.settings.code_length
        code = "".join(secrets.choice(alphabet) for _ in range(length))
        self.issued.record("code", code)
        challenge.codes[code] = now + self.settings.code_ttl_s
        challenge.sent_at = now
        codes = self._codes.setdefault(account.username, [])
        method, number = str(account.method or ""), len(codes) + 1
        codes.append(SentCode(account.username, code, method, account.destination, now, number))
