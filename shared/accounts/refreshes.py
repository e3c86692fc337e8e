"""Refreshes of stored tokens, written down: begun, finished, failed, due.

A refresh belongs to one generation of the tokens. What it brings is stored only while they are
still of that generation: a sign-in that finished meanwhile is newer, and stays.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, Table, or_, select
from sqlalchemy.orm import Session

from shared.accounts.states import (
    Access,
    ConnectionState,
    Method,
    Standing,
    StateReason,
    standing,
)
from shared.accounts.tokens import (
    StoredTokens,
    TokenRepository,
    current_standing,
    give_up_claim,
    open_tokens,
    set_standing,
)
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import Keyring
from shared.database.models import GarminToken
from shared.errors import FitTrackError
from shared.garmin.types import GarminTokens
from shared.origin import UNKNOWN
from shared.webhooks.outbox import WebhookOutbox

CLAIM = timedelta(minutes=10)
"""How long a row that is due stays with the worker that submits its refresh."""


_TOKENS = cast("Table", GarminToken.__table__)


class RefreshHeldError(FitTrackError):
    """Another job has begun to refresh these tokens, and may be asking Garmin."""


@dataclass(frozen=True)
class Holder:
    """One run of a job; `number` counts from 1. `owner` is a name that no other run has.

    A Redis that forgets may have a job run twice with the same number.
    """

    job_id: str
    number: int
    owner: str

    def __str__(self) -> str:
        return f"{self._prefix(self.number)}{self.owner[:8]}"

    def earlier(self) -> list[str]:
        """Return how the names of the same job's earlier runs begin, whose workers are gone."""
        return [self._prefix(number) for number in range(1, self.number)]

    def _prefix(self, number: int) -> str:
        return f"{self.job_id}/{number}/"


@dataclass(frozen=True)
class DueTokens:
    """Tokens whose refresh is due. `driver` is the library that they belong to."""

    id: uuid.UUID
    generation: int
    driver: str


@dataclass(frozen=True)
class RefreshableTokens:
    """What is known of tokens without opening them."""

    id: uuid.UUID
    generation: int
    driver: str
    access: Access
    access_expires_at: datetime
    standing: Standing

    @classmethod
    def of(cls, row: GarminToken) -> "RefreshableTokens":
        return cls(
            id=row.id,
            generation=row.generation,
            driver=row.driver,
            access=Access(row.access),
            access_expires_at=row.access_expires_at,
            standing=current_standing(row, datetime.now(UTC)),
        )


class RefreshLog:
    """Refreshes, within the caller's transaction."""

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring
        self._tokens = TokenRepository(session, keyring)

    def of_user(self, user_id: uuid.UUID) -> list[RefreshableTokens]:
        query = select(GarminToken).where(GarminToken.user_id == user_id)
        rows = self._session.scalars(query.order_by(GarminToken.access.desc()))
        return [RefreshableTokens.of(row) for row in rows]

    def tokens(self, token_id: uuid.UUID) -> RefreshableTokens | None:
        row = self._session.get(GarminToken, token_id)
        return None if row is None else RefreshableTokens.of(row)

    def begin(
        self, token_id: uuid.UUID, generation: int, holder: Holder, seconds: float
    ) -> StoredTokens | None:
        """Write down, in one statement, that a refresh begins; return the tokens.

        None, and nothing is changed, if it may not begin; `refused` says why.

        For `seconds` the tokens are held by this run, until a later one of the same job begins:
        Redis, which allows one at a time, may forget that. Raises SealBrokenError, though it is
        written down.
        """
        now = datetime.now(UTC)
        changed = (
            _TOKENS.update()
            .where(_same(token_id, generation), _may_begin(holder, now))
            .values(
                refresh_begun=generation,
                refresh_job=str(holder),
                refresh_claimed_until=now + timedelta(seconds=seconds),
            )
            .returning(*_TOKENS.c)
        )
        row = self._session.execute(changed).one_or_none()
        return None if row is None else open_tokens(self._keyring, row)

    def refused(self, token_id: uuid.UUID, generation: int) -> None:
        """Note why a refresh could not begin. Raises RefreshHeldError while another job holds them.

        Else there is nothing to refresh: the tokens are gone or of another generation, or only a
        sign-in helps, which is written down.
        """
        row = self._locked(token_id, generation)
        if row is None:
            return
        self._note_standing(row)
        if row.state != ConnectionState.SIGN_IN_REQUIRED:
            raise RefreshHeldError

    def finish(self, token_id: uuid.UUID, generation: int, tokens: GarminTokens) -> bool:
        """Store what a refresh has brought, as the next generation; False if it is not needed."""
        row = self._locked(token_id, generation)
        if row is None:
            return False
        before = row.state
        self._tokens.write(row, tokens, datetime.now(UTC))
        self._record_change(row, before)
        return True

    def finish_active(self, token_id: uuid.UUID, generation: int, tokens: GarminTokens) -> bool:
        """Store it in one statement where what is active stays active; else return False."""
        now = datetime.now(UTC)
        active = Standing(ConnectionState.ACTIVE, None, now)
        if standing(active, tokens.driver, tokens.refresh_expires_at, now) != active:
            return False
        changed = (
            _TOKENS.update()
            .where(_same(token_id, generation), _TOKENS.c.state == ConnectionState.ACTIVE)
            .values(self._tokens.next_generation(token_id, generation, tokens, now))
            .returning(_TOKENS.c.id)
        )
        return self._session.execute(changed).first() is not None

    def reject(self, token_id: uuid.UUID, generation: int) -> bool:
        """Note that Garmin no longer accepts the tokens; False if there are newer ones."""
        row = self._locked(token_id, generation)
        if row is None:
            return False
        is_key = row.method == Method.PERSONAL_API_KEY
        reason = StateReason.KEY_REVOKED if is_key else StateReason.REJECTED
        before, row.refresh_begun = row.state, None
        give_up_claim(row)
        set_standing(row, Standing(ConnectionState.SIGN_IN_REQUIRED, reason, datetime.now(UTC)))
        self._record_change(row, before)
        return True

    def postpone(self, token_id: uuid.UUID, generation: int, seconds: int, *, ended: bool) -> None:
        """Note that a refresh failed, and that the next one is due in `seconds`.

        `ended`: Garmin has answered that it did not refresh. Otherwise nobody knows.
        """
        row = self._locked(token_id, generation)
        if row is None:
            return
        if ended:
            row.refresh_begun = None
        give_up_claim(row)
        row.refresh_due_at = datetime.now(UTC) + timedelta(seconds=seconds)

    def is_unchanged(self, token_id: uuid.UUID, generation: int) -> bool:
        """Return whether the tokens are still of this generation."""
        query = select(GarminToken.generation).where(GarminToken.id == token_id)
        return self._session.scalar(query) == generation

    def count_due(self, limit: int) -> int:
        """Return how many refreshes are due that nobody has claimed, but no more than `limit`."""
        query = select(GarminToken.id).where(_is_due(datetime.now(UTC))).limit(limit)
        return len(self._session.scalars(query).all())

    def claim_due(self, limit: int) -> Sequence[DueTokens]:
        """Claim up to `limit` tokens whose refresh is due, those first that would die first.

        Rows that another worker is claiming are left to it. Where only the state has changed by
        the time that has passed, that is written, and there is nothing to refresh.
        """
        now = datetime.now(UTC)
        query = select(GarminToken).where(_is_due(now)).order_by(GarminToken.refresh_expires_at)
        rows = self._session.scalars(query.limit(limit).with_for_update(skip_locked=True)).all()
        for row in rows:
            row.refresh_claimed_until, row.refresh_job = now + CLAIM, None
            self._note_standing(row)
        return [
            DueTokens(row.id, row.generation, row.driver)
            for row in rows
            if row.state != ConnectionState.SIGN_IN_REQUIRED
        ]

    def _locked(self, token_id: uuid.UUID, generation: int) -> GarminToken | None:
        query = select(GarminToken).where(
            GarminToken.id == token_id, GarminToken.generation == generation
        )
        return self._session.scalar(query.with_for_update())

    def _note_standing(self, row: GarminToken) -> None:
        before = row.state
        set_standing(row, current_standing(row, datetime.now(UTC)))
        self._record_change(row, before)

    def _record_change(self, row: GarminToken, before: str) -> None:
        if row.state == before:
            return
        outcome = row.state_reason or row.state
        event = Event.of(EventKind.STATE_CHANGED, UNKNOWN, outcome, user_id=row.user_id)
        EventLog(self._session).append(event)
        WebhookOutbox(self._session).state_changed(row.id)


def _same(token_id: uuid.UUID, generation: int) -> ColumnElement[bool]:
    return (_TOKENS.c.id == token_id) & (_TOKENS.c.generation == generation)


def _may_begin(holder: Holder, now: datetime) -> ColumnElement[bool]:
    """Whether a row can be renewed, and nobody else holds it."""
    job, claimed_until = _TOKENS.c.refresh_job, _TOKENS.c.refresh_claimed_until
    return (
        (_TOKENS.c.state != ConnectionState.SIGN_IN_REQUIRED)
        & (_TOKENS.c.refresh_expires_at > now)
        & or_(
            job.is_(None),
            job == str(holder),
            *(job.startswith(prefix, autoescape=True) for prefix in holder.earlier()),
            claimed_until.is_(None),
            claimed_until <= now,
        )
    )


def _is_due(now: datetime) -> ColumnElement[bool]:
    return (
        GarminToken.state.in_((ConnectionState.ACTIVE, ConnectionState.EXPIRING))
        & (GarminToken.refresh_due_at <= now)
        & or_(GarminToken.refresh_claimed_until.is_(None), GarminToken.refresh_claimed_until < now)
    )
