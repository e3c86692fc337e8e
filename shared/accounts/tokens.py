"""Garmin tokens in the database, sealed."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, ScalarSelect, bindparam, delete, select
from sqlalchemy.orm import Session, aliased

from shared.accounts.states import (
    Access,
    ConnectionState,
    Method,
    Standing,
    StateReason,
    refresh_due_at,
    standing,
)
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import Keyring, Purpose
from shared.database.inserts import insert_rows, values_of
from shared.database.models import GarminToken, User
from shared.garmin.types import GarminTokens
from shared.origin import UNKNOWN, Origin


@dataclass(frozen=True)
class StoredTokens:
    """A row of tokens, opened. `standing` is its state now."""

    id: uuid.UUID
    user_id: uuid.UUID
    generation: int
    access: Access
    method: Method
    standing: Standing
    tokens: GarminTokens

    @property
    def driver(self) -> str:
        return self.tokens.driver


@dataclass(frozen=True)
class TokenInfo:
    """What the database knows about a user's Garmin tokens without opening them."""

    domain: str
    driver: str
    access: Access
    method: Method
    access_expires_at: datetime
    refresh_expires_at: datetime
    standing: Standing

    @property
    def linked(self) -> bool:
        return self.standing.state is not ConnectionState.SIGN_IN_REQUIRED


def token_info(user: User, token: GarminToken) -> TokenInfo:
    """Describe the tokens, with the state that they have now."""
    return TokenInfo(
        domain=user.domain,
        driver=token.driver,
        access=Access(token.access),
        method=Method(token.method),
        access_expires_at=token.access_expires_at,
        refresh_expires_at=token.refresh_expires_at,
        standing=current_standing(token, datetime.now(UTC)),
    )


def open_tokens(keyring: Keyring, row: GarminToken | Row[Any]) -> StoredTokens:
    """Open the tokens of a row, or of its columns. Raises SealBrokenError."""
    revealed = keyring.open(row.ciphertext, Purpose.GARMIN_TOKENS, str(row.id))
    return StoredTokens(
        id=row.id,
        user_id=row.user_id,
        generation=row.generation,
        access=Access(row.access),
        method=Method(row.method),
        standing=current_standing(row, datetime.now(UTC)),
        tokens=GarminTokens.from_revealed(revealed),
    )


def current_standing(token: GarminToken | Row[Any], now: datetime) -> Standing:
    stored = Standing(
        ConnectionState(token.state),
        None if token.state_reason is None else StateReason(token.state_reason),
        token.state_since,
    )
    return standing(stored, token.driver, token.refresh_expires_at, now)


def set_standing(token: GarminToken, new: Standing) -> None:
    token.state, token.state_reason, token.state_since = new.state, new.reason, new.since


def give_up_claim(token: GarminToken) -> None:
    """Let any job refresh these tokens."""
    token.refresh_claimed_until = token.refresh_job = None


def best_token_of(user_id: object) -> ScalarSelect[uuid.UUID]:
    """Select the id of the user's tokens that allow the most."""
    token = aliased(GarminToken)
    query = select(token.id).where(token.user_id == user_id)
    return query.order_by(token.access.desc()).limit(1).scalar_subquery()


@dataclass(frozen=True)
class Saved:
    """`changed`: there were tokens before, and those who use them find another state now."""

    token_id: uuid.UUID
    changed: bool


_LOCKED = (
    select(GarminToken)
    .where(GarminToken.user_id == bindparam("user_id"), GarminToken.access == bindparam("access"))
    .with_for_update()
)


class TokensKeptError(Exception):
    """There are earlier tokens, which only tokens that Garmin has just given replace."""


class TokenRepository:
    """Users' Garmin tokens, within the caller's transaction.

    They are sealed for their row's id: copied to another row, they can't be opened.
    """

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring

    def save(
        self,
        user_id: uuid.UUID,
        tokens: GarminTokens,
        method: Method = Method.PASSWORD,
        *,
        replaces: bool = True,
    ) -> Saved:
        """Store the tokens of a sign-in in place of earlier ones of the same access.

        What a refresh of the earlier ones brings is not stored any more. Raises TokensKeptError if
        there are earlier ones, and `replaces` is false.
        """
        now, access = datetime.now(UTC), method.access
        row = self._session.scalar(_LOCKED, {"user_id": user_id, "access": access})
        is_new = row is None
        if row is not None and not replaces:
            raise TokensKeptError
        if row is None:
            row = GarminToken(
                id=uuid.uuid4(), user_id=user_id, access=access, generation=0, created_at=now
            )
        before: str | None = row.state
        row.method = method
        active = Standing(ConnectionState.ACTIVE, None, now)
        set_standing(row, active)
        self.write(row, tokens, now)
        if is_new:
            insert_rows(self._session, GarminToken, values_of(row))
        else:
            self._session.flush()
        return Saved(row.id, before is not None and before != row.state)

    def write(self, row: GarminToken, tokens: GarminTokens, now: datetime) -> None:
        """Seal tokens into a row, as its next generation."""
        for name, value in self.next_generation(row.id, row.generation, tokens, now).items():
            setattr(row, name, value)
        set_standing(row, current_standing(row, now))

    def next_generation(
        self, token_id: uuid.UUID, generation: int, tokens: GarminTokens, now: datetime
    ) -> dict[str, object]:
        """Return the columns of a row's next generation, but for its state."""
        return {
            "driver": tokens.driver,
            "key_id": self._keyring.sealing_key_id,
            "ciphertext": self._keyring.seal(tokens.reveal(), Purpose.GARMIN_TOKENS, str(token_id)),
            "access_expires_at": tokens.access_expires_at,
            "refresh_expires_at": tokens.refresh_expires_at,
            "generation": generation + 1,
            "refresh_begun": None,
            "refresh_claimed_until": None,
            "refresh_job": None,
            "refresh_due_at": refresh_due_at(tokens.driver, tokens.refresh_expires_at, now),
            "updated_at": now,
        }

    def open(self, row: GarminToken) -> StoredTokens:
        """Open a row's tokens. Raises SealBrokenError if that can't be done."""
        return open_tokens(self._keyring, row)

    def load(self, user_id: uuid.UUID, origin: Origin = UNKNOWN) -> GarminTokens | None:
        """Return the tokens that allow the most; None if there are none that can be refreshed.

        Writes a `tokens_read` event. Raises SealBrokenError if they can't be opened.
        """
        query = select(GarminToken).where(GarminToken.id == best_token_of(user_id))
        row = self._session.scalar(query)
        if row is None or row.refresh_expires_at <= datetime.now(UTC):
            return None
        tokens = self.open(row).tokens
        event = Event.of(EventKind.TOKENS_READ, origin, row.driver, user_id=user_id)
        EventLog(self._session).append(event)
        return tokens

    def delete(self, user_id: uuid.UUID) -> bool:
        """Delete all of a user's tokens; return whether there were any."""
        deleted = self._session.execute(
            delete(GarminToken).where(GarminToken.user_id == user_id).returning(GarminToken.id)
        )
        return deleted.first() is not None
