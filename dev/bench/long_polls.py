"""(g) long polls that one API process holds: its memory, and how soon each is answered."""

import asyncio
import resource
import time
from collections.abc import Sequence

import psutil

from dev.bench.client import Client, SignInError
from dev.bench.connection import Connection, request
from dev.bench.figures import Aim, Figure
from dev.bench.place import Place
from dev.stack import Stack
from shared.crypto.keyring import Keyring
from shared.errors import TimedOutError
from shared.jobs.claims import Claim, JobClaims
from shared.jobs.states import Failure
from shared.redis.connection import Redis

POLLS = 2000
_SUBMITTERS = 16
_WAIT = 30
_SETTLE = 3.0
_MIB = 2**20
_JOB_TTL = 900


def long_polls(place: Place) -> list[Figure]:
    """Poll as many jobs as connections at once, then end them all, one after the other."""
    with place.stack() as stack, Redis.from_url(place.redis.url) as redis:
        stack.migrate()
        api = stack.begin_api().wait_ready()
        keyring = Keyring.parse(stack.settings["FITTRACK_ENCRYPTION_KEYS"])
        claims = JobClaims(redis, keyring, _JOB_TTL)
        process = psutil.Process(api.pid)
        held = asyncio.run(_held(place, stack, claims, process))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = (
        f"{(held.memory - held.memory_before) * 1024 / POLLS:.0f} KiB a poll. The API had "
        f"{held.files} files open, with ulimit -n {files}."
    )
    ends = f"the API's one interpreter: {POLLS} jobs ended within {held.ending:.2g} s."
    what = f"resident memory of an API that holds {POLLS} idle long polls"
    return [
        Figure(
            *("g", what, held.memory_before, held.memory, "MiB"),
            aim=Aim(250, at_most=True, of_service=True),
            limits=limits,
            details={"files": held.files, "ulimit_n": files},
        ),
        Figure(
            *("g1", "the slowest of them, after its job ended", None, max(held.delays), "s"),
            aim=Aim(1.0, at_most=True, of_service=True),
            limits=ends,
            details={"median": sorted(held.delays)[POLLS // 2], "ending": held.ending},
        ),
    ]


class _Held:
    """What was seen while the polls were held. Seconds, MiB."""

    memory_before: float
    memory: float
    files: int
    ending: float
    delays: list[float]


async def _held(place: Place, stack: Stack, claims: JobClaims, api: psutil.Process) -> _Held:
    held = _Held()
    jobs = await _submit(stack, place.people(POLLS))
    claimed = [claims.claim(job["job_id"], "bench") for job in jobs]
    held.memory_before = api.memory_info().rss / _MIB
    connections = [await Connection.open(stack.port) for _ in jobs]
    answered: dict[str, float] = {}

    async def poll(connection: Connection, job: dict[str, str]) -> None:
        path = f"{job['status_url']}?wait={_WAIT}"
        reply = await connection.ask(request("GET", path, token=job["poll_token"]))
        answered[job["job_id"]] = time.perf_counter()
        if reply.status != 200 or reply.json()["status"] != "failed":
            raise SignInError(reply)

    async with asyncio.TaskGroup() as group:
        for connection, job in zip(connections, jobs, strict=True):
            group.create_task(poll(connection, job))
        await asyncio.sleep(_SETTLE)
        held.memory, held.files = api.memory_info().rss / _MIB, api.num_fds()
        if answered:
            message = "a poll was answered before its job ended"
            raise SignInError(message)
        ended = await asyncio.to_thread(_end, claims, claimed)
    held.ending = max(ended.values()) - min(ended.values())
    held.delays = [answered[job_id] - at for job_id, at in ended.items()]
    for connection in connections:
        connection.close()
    return held


def _end(claims: JobClaims, claimed: Sequence[Claim]) -> dict[str, float]:
    """End the jobs; return when each had ended."""
    ended = {}
    for claim in claimed:
        ended[claim.job_id] = time.perf_counter()
        claims.end(claim, Failure.of(TimedOutError()))
    return ended


async def _submit(stack: Stack, usernames: Sequence[str]) -> list[dict[str, str]]:
    waiting, jobs = list(usernames), list[dict[str, str]]()

    async def work() -> None:
        client = Client(stack.port)
        while waiting:
            jobs.append(await client.submit(waiting.pop()))
        client.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(_SUBMITTERS):
            group.create_task(work())
    return jobs
