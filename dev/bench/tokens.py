"""(h) how many fresh access tokens a second one API process hands out."""

import asyncio
import json
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from sqlalchemy import select

from dev.bench.connection import request
from dev.bench.figures import Figure
from dev.bench.place import Place
from dev.bench.status import Endpoint, compared, load
from dev.processes import free_port
from dev.stack import Stack
from shared.accounts.accounts import Accounts
from shared.accounts.clients import ClientRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import GarminToken
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from shared.origin import Origin

_MEMBER = "member-4711"


def fresh_tokens(place: Place) -> list[Figure]:
    """One connection's, by an app with a key: no job, no worker."""
    with place.stack() as stack:
        stack.migrate()
        key, token_id = _connected(stack)
        api = stack.begin_api().wait_ready()
        path = f"/api/users/{_MEMBER}/garmin/token"
        service = Endpoint(api, stack.port, request("POST", path, headers={"X-Client-Key": key}))
        asyncio.run(load(service, seconds=0.5))
        with _bare_endpoint(place, stack, token_id) as bare:
            return [compared(bare, service, "h", "fresh access tokens a second")]


@contextmanager
def _bare_endpoint(place: Place, stack: Stack, token_id: uuid.UUID) -> Iterator[Endpoint]:
    settings = {
        "BARE_DATABASE_URL": stack.settings["FITTRACK_DATABASE_URL"],
        "BARE_KEYS": stack.settings["FITTRACK_ENCRYPTION_KEYS"],
        "BARE_TOKEN_ID": str(token_id),
    }
    port = free_port()
    with place.bare_endpoint("token-endpoint", port, settings) as process:
        endpoint = Endpoint(process, port, request("POST", "/token"))
        asyncio.run(load(endpoint, seconds=0.5))
        yield endpoint


def _connected(stack: Stack) -> tuple[str, uuid.UUID]:
    """Add an app with a connection; return its key, and the id of the tokens."""
    database = Database(stack.settings["FITTRACK_DATABASE_URL"])
    keyring = Keyring.parse(stack.settings["FITTRACK_ENCRYPTION_KEYS"])
    client, key = database.run(lambda s: ClientRepository(s).add(uuid.uuid4().hex[:30]))
    origin = Origin(client_id=client.client_id, client_user_id=_MEMBER)
    identity = GarminIdentity(guid=str(uuid.uuid4()), display_name="Anna")
    accounts = Accounts(database, keyring, 3600)
    stored = accounts.store(identity, some_tokens(), uuid.uuid4(), SecretStr(new_token()), origin)
    query = select(GarminToken.id).where(GarminToken.user_id == stored.user_id)
    token_id = database.run(lambda s: s.scalars(query).one())
    database.close()
    return key, token_id


def some_tokens() -> GarminTokens:
    """As long as Garmin's: an access token of about a kilobyte."""
    data = {"di_token": secrets.token_urlsafe(900), "di_refresh_token": secrets.token_urlsafe(300)}
    now = datetime.now(UTC)
    return GarminTokens(
        driver="garminconnect",
        domain=GarminDomain.COM,
        data=SecretStr(json.dumps(data | {"di_client_id": "GARMIN_CONNECT_MOBILE_ANDROID_DI"})),
        access_expires_at=now + timedelta(days=1),
        refresh_expires_at=now + timedelta(days=30),
    )
