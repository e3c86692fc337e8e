"""A client of the service that long-polls: submits, waits 20 seconds at a time, reads the end."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Self

from dev.bench.connection import Connection, request
from dev.simulator.accounts import PASSWORD


class SignInError(RuntimeError):
    """A sign-in did not succeed: there is nothing to measure."""


class Client:
    """One connection, kept while the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: Connection | None = None

    async def connect(self) -> Self:
        if self._connection is None or self._connection.closed:
            self._connection = await Connection.open(self._port)
        return self

    async def sign_in(self, username: str) -> float:
        """Seconds from the submission to `succeeded`. Raises SignInError."""
        await self.connect()
        started = time.perf_counter()
        body = {"username": username, "password": PASSWORD}
        job = await self._ask(request("POST", "/api/garmin/login", body=body), 202)
        poll = request("GET", f"{job['status_url']}?wait=20", token=job["poll_token"])
        seen = job
        while seen["status"] in ("queued", "running"):
            seen = await self._ask(poll, 200)
        if seen["status"] != "succeeded":
            raise SignInError(seen)
        return time.perf_counter() - started

    async def submit(self, username: str) -> dict[str, Any]:
        await self.connect()
        body = {"username": username, "password": PASSWORD}
        return await self._ask(request("POST", "/api/garmin/login", body=body), 202)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def _ask(self, message: bytes, expected: int) -> dict[str, Any]:
        assert self._connection is not None  # noqa: S101 - for the type checker
        reply = await self._connection.ask(message)
        if reply.status != expected:
            raise SignInError(reply)
        found: dict[str, Any] = reply.json()
        return found


async def sign_in_all(port: int, usernames: Sequence[str], clients: int) -> float:
    """Signs all of them in, `clients` at a time. Seconds for the whole. Raises SignInError."""
    waiting = list(reversed(usernames))
    connected = [await Client(port).connect() for _ in range(clients)]

    async def work(client: Client) -> None:
        while waiting:
            await client.sign_in(waiting.pop())

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for client in connected:
            group.create_task(work(client))
    seconds = time.perf_counter() - started
    for client in connected:
        client.close()
    return seconds
