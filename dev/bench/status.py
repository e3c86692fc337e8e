"""(e) how many status requests a second one API process answers."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis

from dev.bench.client import Client
from dev.bench.connection import Connection, request
from dev.bench.cpu import CpuMeter
from dev.bench.figures import Aim, Figure
from dev.bench.place import Place
from dev.processes import Process, free_port
from dev.stack import Stack

_KEY = "bench:status"
_CONNECTIONS = 32
_ROUNDS = 10
_ROUND_SECONDS = 1.0


@dataclass(frozen=True)
class Endpoint:
    process: Process
    port: int
    message: bytes


@contextmanager
def bare_endpoint(place: Place, value: str) -> Iterator[Endpoint]:
    with Redis.from_url(place.redis.url) as redis:
        redis.set(_KEY, value)
    port = free_port()
    settings = {"BARE_REDIS_URL": place.redis.url, "BARE_KEY": _KEY}
    with place.bare_endpoint("status-endpoint", port, settings) as process:
        endpoint = Endpoint(process, port, request("GET", "/status"))
        asyncio.run(load(endpoint, seconds=0.5))
        yield endpoint


def status_requests(place: Place) -> list[Figure]:
    """The status of a job that waits for a worker: there is none."""
    with place.stack() as stack:
        stack.migrate()
        api = stack.begin_api().wait_ready()
        job = asyncio.run(_submitted(place, stack))
        message = request("GET", job["status_url"], token=job["poll_token"])
        service = Endpoint(api, stack.port, message)
        body = asyncio.run(load(service, seconds=0.5)).body
        with bare_endpoint(place, body.decode()) as bare:
            return [compared(bare, service, "e", "status requests a second")]


def compared(bare: Endpoint, service: Endpoint, key: str, what: str) -> Figure:
    rounds: list[tuple[Load, Load]] = []
    meter = CpuMeter({"API": service.process.pid})
    for number in range(_ROUNDS):
        if number % 2:  # whatever the second of a pair gains or loses, each is second as often
            second, first = (_loaded(endpoint) for endpoint in (service, bare))
        else:
            first, second = (_loaded(endpoint) for endpoint in (bare, service))
        rounds.append((first, second))
    api_ms = meter.seconds()["API"] * 1000 / sum(load.count for _, load in rounds)
    rates = [(bare.rate, service.rate) for bare, service in rounds]
    share = statistics.median(bare.own_seconds / bare.seconds for bare, _ in rounds)
    limits = (
        f"the API's one interpreter: {api_ms:.2f} ms of processor time a request. The load "
        f"generator used {share:.0%} of a core with the bare endpoint: "
        f"{'it may limit' if share > 0.8 else 'no limit'}."
    )
    return Figure(
        key=key,
        what=f"{what}, {_CONNECTIONS} connections",
        bare=statistics.median(bare for bare, _ in rates),
        service=statistics.median(service for _, service in rates),
        unit="/s",
        aim=Aim(0.6, at_most=False),
        limits=limits,
        details={"generator_share": share, "api_ms": api_ms},
        ratios=tuple(service / bare for bare, service in rates),
    )


def _loaded(endpoint: Endpoint) -> "Load":
    return asyncio.run(load(endpoint, _ROUND_SECONDS))


@dataclass(frozen=True)
class Load:
    count: int
    seconds: float
    own_seconds: float
    body: bytes

    @property
    def rate(self) -> float:
        return self.count / self.seconds


async def load(endpoint: Endpoint, seconds: float) -> Load:
    """Asks again and again, over connections that are kept, one request at a time on each."""
    connections = [await Connection.open(endpoint.port) for _ in range(_CONNECTIONS)]
    bodies: list[bytes] = []
    count, own = 0, time.process_time()
    started = time.perf_counter()

    async def ask(connection: Connection) -> None:
        nonlocal count
        while time.perf_counter() < started + seconds:
            reply = await connection.ask(endpoint.message)
            if reply.status != 200:
                raise RuntimeError(f"the endpoint answered {reply.status}: {reply.body[:300]!r}")
            count += 1
            bodies[:] = [reply.body]

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(ask(connection))
    took = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return Load(count, took, time.process_time() - own, bodies[0])


async def _submitted(place: Place, stack: Stack) -> dict[str, str]:
    client = Client(stack.port)
    job = await client.submit(place.people(1)[0])
    client.close()
    return job
