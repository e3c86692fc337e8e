"""An app that asks for access tokens, with the test as the worker that refreshes them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.accounts.clients import ClientRepository
from shared.accounts.refreshes import RefreshLog
from shared.database.models import ClientLink, GarminToken
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from shared.jobs.states import Outcome, Refreshed
from shared.origin import Origin
from tests.api.service import Service, eventually

PATH = "/api/users/member-1/garmin/token"
MINE = "/api/garmin/token"
DAY = timedelta(days=1)


def tokens(access_token: str, valid_for: timedelta = DAY) -> GarminTokens:
    now = datetime.now(UTC)
    return GarminTokens(
        driver="garminconnect",
        domain=GarminDomain.COM,
        data=SecretStr(json.dumps({"di_token": access_token, "di_refresh_token": "r"})),
        access_expires_at=now + valid_for,
        refresh_expires_at=now + 30 * DAY,
    )


@dataclass
class App:
    """An app with one connection, `member-1`; the test plays the worker that refreshes it."""

    service: Service

    def __post_init__(self) -> None:
        database = self.service.database
        client, key = database.run(lambda s: ClientRepository(s).add(uuid4().hex[:30]))
        self.headers = {"X-Client-Key": key}
        self.origin = Origin(client_id=client.client_id, client_user_id="member-1")
        self.session = uuid4().hex
        self.guid = uuid4().hex

    def sign_in(self, stored: GarminTokens) -> None:
        identity = GarminIdentity(guid=self.guid, display_name="Anna", garmin_display_name="anna7")
        session = SecretStr(self.session + uuid4().hex[:4])
        self.bearer = {"Authorization": f"Bearer {session.get_secret_value()}"}
        self.service.accounts.store(identity, stored, uuid4(), session, self.origin)

    def ask(self, wait: int = 0, **body: object) -> httpx.Response:
        return self.service.client.post(
            PATH, params={"wait": wait}, json=body, headers=self.headers, timeout=60
        )

    def ask_as_person(self, wait: int) -> httpx.Response:
        return self.service.client.post(
            MINE, params={"wait": wait}, headers=self.bearer, timeout=60
        )

    @property
    def row(self) -> GarminToken:
        def read(session: Session) -> GarminToken:
            links = select(ClientLink.token_id).where(ClientLink.client_id == self.origin.client_id)
            return session.scalars(select(GarminToken).where(GarminToken.id.in_(links))).one()

        return self.service.database.run(read)

    @property
    def token_id(self) -> UUID:
        return self.row.id

    def job_id(self) -> str | None:
        """The job that refreshes these tokens at the moment."""
        value = self.service.redis.get(f"fittrack:token:{self.token_id}")
        return value.decode() if isinstance(value, bytes) else None

    def work(self, renewed: GarminTokens | None, outcome: Outcome | None = None) -> None:
        """Play the worker: store what the refresh has brought, and end its job."""
        eventually(lambda: self.job_id() is not None)
        job_id, row = self.job_id() or "", self.row
        claim = self.service.jobs.claim(job_id, uuid4().hex)
        keyring = self.service.keyring
        if renewed is not None:
            self.service.database.run(
                lambda s: RefreshLog(s, keyring).finish(row.id, row.generation, renewed)
            )
        self.service.jobs.end(claim, outcome or Refreshed(user_id=str(row.user_id)))

    def created(self) -> int:
        """How many refresh jobs there are in Redis, ended ones included."""
        jobs = [key for key in self.service.redis.scan_iter("fittrack:job:*") if b":in" not in key]
        kinds = [self.service.redis.hget(key, "kind") for key in jobs]
        return kinds.count(b"refresh")
