"""Apps with one connection each, whose token is soon over, and what Garmin sees of refreshes."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from sqlalchemy import create_engine, text

from dev.simulator import PASSWORD, Simulator
from dev.stack import Stack
from shared.accounts.clients import ClientRepository
from shared.database.engine import Database
from shared.redis.connection import Redis
from tests.dev.wire import wire
from tests.end_to_end.client import Client

DI = "/di-oauth2-service/oauth/token"
STALE_S = 100
"""Shorter than what an app asks for by default: such a token is refreshed, but can be used."""


@contextmanager
def signing_in_with(garmin: Simulator, library: str) -> Iterator[None]:
    """With `garminconnect`, garth's ticket is redeemed at DI. The tokens are stale at once."""
    refuse = {"oauth1": {"status": 403}} if library == "garminconnect" else {}
    garmin.configure(access_ttl_s=STALE_S, refuse=refuse)
    yield
    garmin.configure(access_ttl_s=None, refuse={})


@dataclass
class App:
    """An app of a stack, and the connection of one person."""

    stack: Stack
    garmin: Simulator
    client: Client
    username: str = "plain-tessa@example.com"

    def __post_init__(self) -> None:
        database = Database(self.stack.settings["FITTRACK_DATABASE_URL"])
        _, key = database.run(lambda s: ClientRepository(s).add(uuid.uuid4().hex))
        database.close()
        self.headers = {"X-Client-Key": key}
        self.path = "/api/users/tessa/garmin/token"

    def connect(self, library: str) -> None:
        with signing_in_with(self.garmin, library):
            self.sign_in()
        assert self.link()["driver"] == library

    def sign_in(self) -> None:
        login = {"username": self.username, "password": PASSWORD, "user_id": "tessa"}
        job = self.client.http.post("/api/garmin/login", json=login, headers=self.headers)
        assert job.status_code == 202, job.text
        signed_in = self.client.wait(job.json())
        assert signed_in["status"] == "succeeded", signed_in

    def link(self) -> dict[str, str]:
        reply = self.client.http.get("/api/users/tessa/garmin", headers=self.headers)
        garmin: dict[str, str] = reply.raise_for_status().json()["garmin"]
        return garmin

    def ask(self, wait: int = 30, client: Client | None = None, **body: str) -> httpx.Response:
        """`client` is that of another service over the same database."""
        http = (client or self.client).http
        return http.post(self.path, params={"wait": wait}, headers=self.headers, json=body)

    def refreshed(self) -> httpx.Response:
        """Ask until the token is no longer stale; return the answer.

        A stale one can still be used: whoever waits for a refresh that fails is given it.
        """
        replies: list[httpx.Response] = []

        def is_fresh() -> bool:
            replies.append(self.ask())
            return replies[-1].status_code == 200 and replies[-1].json()["expires_in"] > STALE_S

        eventually(is_fresh)
        return replies[-1]

    async def ask_at_once(self, callers: int, *ports: int, **body: str) -> list[httpx.Response]:
        """Ask the APIs at these ports in turn, all at once."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
            asking = (
                client.post(
                    f"http://127.0.0.1:{ports[number % len(ports)]}{self.path}",
                    params={"wait": 30},
                    headers=self.headers,
                    json=body,
                )
                for number in range(callers)
            )
            return await asyncio.gather(*asking)

    def refreshes(self, library: str = "garminconnect") -> int:
        """How often Garmin was asked to renew, sign-in aside."""
        if library == "garminconnect":
            return self.garmin.count("di_refreshes", self.username)
        return self.garmin.count("oauth2_exchanges", self.username) - 1

    def is_own(self, reply: httpx.Response) -> bool:
        """Whether the access token works, and is this person's."""
        with wire(self.garmin) as browser:
            profile = browser.profile(reply.json()["access_token"]).json()
        guid = self.garmin.account(self.username)["profile"]["garminGUID"]
        return bool(profile["garminGUID"] == guid)

    def token_id(self) -> uuid.UUID:
        return uuid.UUID(str(self._select("id")))

    def begun(self) -> bool:
        """Whether a refresh was begun that is not known to have ended."""
        return self._select("refresh_begun") is not None

    def _select(self, column: str) -> object:
        query = (
            f"SELECT t.{column} FROM garmin_tokens t JOIN users u ON u.id = t.user_id "  # noqa: S608
            "WHERE u.garmin_guid = :guid"
        )
        guid = self.garmin.account(self.username)["profile"]["garminGUID"]
        engine = create_engine(self.stack.settings["FITTRACK_DATABASE_URL"])
        with engine.connect() as connection:
            value: object = connection.execute(text(query), {"guid": guid}).scalar_one()
        engine.dispose()
        return value


@contextmanager
def row_locked(app: App) -> Iterator[None]:
    """Nobody else can write the app's row of tokens while the block runs."""
    token_id = app.token_id()
    engine = create_engine(app.stack.settings["FITTRACK_DATABASE_URL"])
    with engine.begin() as connection:
        query = text("SELECT 1 FROM garmin_tokens WHERE id = :id FOR UPDATE")
        connection.execute(query, {"id": token_id})
        yield
    engine.dispose()


def change(stack: Stack, statement: str) -> None:
    engine = create_engine(stack.settings["FITTRACK_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def forget_jobs(redis_url: str) -> None:
    """What a Redis without persistence does when it is restarted; Celery's own names stay."""
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter("fittrack:*"):
            if not key.startswith((b"fittrack:celery:", b"fittrack:deployment")):
                redis.delete(key)


def eventually(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        time.sleep(0.05)
