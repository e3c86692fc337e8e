"""All that this Garmin knows: people, sign-ins under way, tokens, counts and settings."""

import random
import secrets
import time
from collections.abc import Collection

from dev.simulator.accounts import Account, account_for
from dev.simulator.counters import Count, Counters
from dev.simulator.faults import Faults, Refusals
from dev.simulator.issued import Issued
from dev.simulator.sessions import Challenge, SentCode, SsoSession, SsoSessions
from dev.simulator.settings import Fault, Settings
from dev.simulator.tokens import Ticket, Tokens

OAUTH1_TTL_S = 365 * 24 * 3600


class World:
    """The state behind every handler. Lives in one thread, so it needs no locks."""

    def __init__(self, settings: Settings) -> None:
        self._first_settings = settings
        self.reset()

    def reset(self) -> None:
        """Back to how it started: settings, counters, sessions and tokens."""
        self.counters = Counters()
        self.sessions = SsoSessions()
        self.tokens = Tokens()
        self.issued = Issued()
        self._mailbox: dict[str, list[SentCode]] = {}
        self._profile_failures: dict[Account, int] = {}
        self.configure(self._first_settings, Settings.model_fields)

    def configure(self, settings: Settings, changed: Collection[str]) -> None:
        """Take new settings; faults and refusals count their `times` anew if `changed`."""
        self.settings = settings
        if "faults" in changed:
            self.faults = Faults(settings.faults)
        if "refuse" in changed:
            self.refusals = Refusals(settings.refuse)

    def add_fault(self, fault: Fault) -> None:
        """One more fault; those before it go on counting."""
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
        self.issued.note("csrf", session.csrf)
        return session

    def challenge(self, session: SsoSession, account: Account) -> Challenge:
        """Ask this session for a code. An authenticator app has its code already."""
        challenge = session.challenge = Challenge(account)
        if account.method is not None and account.destination is None:
            self._write_code(challenge)
        return challenge

    def send_code(self, challenge: Challenge, client: str) -> None:
        """Send a new code; those sent before stay good until they expire."""
        self._write_code(challenge)
        self.count("codes_sent", challenge.account, client)

    def codes(self, username: str) -> list[SentCode]:
        """The codes of one person, the oldest first."""
        return self._mailbox.get(username.strip().lower(), [])

    def issue_ticket(self, account: Account, client: str, service: str, suffix: str) -> Ticket:
        self.count("tickets_issued", account, client)
        expires_at = self.now() + self.settings.ticket_ttl_s
        ticket = self.tokens.new_ticket(account, client, service, expires_at, suffix)
        self.issued.note("ticket", ticket.value)
        return ticket

    def redeem(self, ticket: Ticket) -> None:
        ticket.used = True
        self.count("tickets_redeemed", ticket.account, ticket.client)

    def access_ttl(self) -> int:
        """Seconds; the recorded lives lie between 65481 and 107182."""
        return self.settings.access_ttl_s or random.randint(65481, 107182)  # noqa: S311

    def profile_fails(self, account: Account) -> bool:
        """Whether this profile request is one of those that `profile500` accounts lose."""
        failed = self._profile_failures.get(account, 0)
        self._profile_failures[account] = failed + 1
        return failed < account.profile_failures

    def _write_code(self, challenge: Challenge) -> None:
        account, now = challenge.account, self.now()
        letters, length = self.settings.code_alphabet, self.settings.code_length
        code = "".join(secrets.choice(letters) for _ in range(length))
        self.issued.note("code", code)
        challenge.codes[code] = now + self.settings.code_ttl_s
        challenge.sent_at = now
        mails = self._mailbox.setdefault(account.username, [])
        mails.append(
            SentCode(
                account.username,
                code,
                str(account.method or ""),
                account.destination,
                now,
                len(mails) + 1,
            )
        )
