"""(a) one sign-in, (b) sign-ins a second, (c) hundreds in flight, (f) processor time of one."""

import asyncio
import os
import statistics
import time

import psutil

from dev.bench.client import Client, sign_in_all
from dev.bench.cpu import CpuMeter, shares
from dev.bench.figures import Aim, Figure
from dev.bench.place import BareGarth, Place
from dev.stack import Stack

GARMIN_REQUESTS = 6
"""Of a sign-in with garth: page, password, embed, OAuth1, OAuth2, profile."""

LATENCY = 0.1
"""Seconds of each of Garmin's answers in (a) and (b)."""

_PAIRS = 20
_THREADS = 16
_CLIENTS = 64
_ROUND = 64
_ROUNDS = 6
IN_FLIGHT = 300
_FLOOR = 5.0
CONCURRENCY = 320
"""What docs/benchmark.md recommends for 300 sign-ins at once."""


def one_sign_in(place: Place) -> list[Figure]:
    """(a): bare and service take turns; medians."""
    with place.bare_garth() as garth, place.stack() as stack:
        stack.start()
        asyncio.run(sign_in_all(stack.port, place.people(8), 1))
        place.garmin.answer_after(LATENCY)
        meter = _meter(place, stack, garth)
        bare, service = asyncio.run(_take_turns(place, stack, garth))
        each = meter.milliseconds_each(_PAIRS)
    waiting = GARMIN_REQUESTS * LATENCY
    median = statistics.median
    limits = (
        f"waiting for Garmin ({waiting:.1f} s of it), then processor time a sign-in: "
        f"{shares(each, 'ms')}. The service keeps its connections to Garmin; plain garth "
        f"makes two new ones, with TLS, for each sign-in."
    )
    what = f"submit → succeeded, {LATENCY * 1000:.0f} ms a request"
    return [
        Figure(
            *("a", what, median(bare), median(service), "s"),
            aim=Aim(1.03, at_most=True),
            limits=limits,
            details={"bare_worst": max(bare), "service_worst": max(service)},
            ratios=tuple(s / b for b, s in zip(bare, service, strict=True)),
        )
    ]


async def _take_turns(
    place: Place, stack: Stack, garth: BareGarth
) -> tuple[list[float], list[float]]:
    client = Client(stack.port)
    bare, service = [], []
    for _ in range(_PAIRS):
        bare.append(await asyncio.to_thread(garth.sign_in, place.people(1)))
        service.append(await client.sign_in(place.people(1)[0]))
    client.close()
    return bare, service


def sign_ins_a_second(place: Place) -> list[Figure]:
    """(b), and beside it the same with a Garmin that answers at once: processor time alone."""
    with place.bare_garth() as garth, place.stack() as stack:
        stack.start()
        asyncio.run(sign_in_all(stack.port, place.people(64), 32))
        what = f"sign-ins a second, {LATENCY * 1000:.0f} ms a request"
        first = _throughput(place, stack, garth, "b", what, LATENCY)
        second = _throughput(place, stack, garth, "b0", "the same, Garmin answers at once", 0)
    return [first, second]


def _throughput(
    place: Place, stack: Stack, garth: BareGarth, key: str, what: str, latency: float
) -> Figure:
    place.garmin.answer_after(latency)
    rounds: list[tuple[float, float]] = []
    used: dict[str, float] = {}
    for number in range(_ROUNDS):
        bare, service = 0.0, 0.0
        for turn in (number, number + 1):  # each goes first as often as second
            if turn % 2:
                meter = _meter(place, stack)
                service = asyncio.run(sign_in_all(stack.port, place.people(_ROUND), _CLIENTS))
                used = {k: used.get(k, 0) + v for k, v in meter.seconds().items()}
            else:
                bare = garth.sign_in(place.people(_ROUND), _THREADS)
        rounds.append((bare, service))
    each = {name: value * 1000 / (_ROUND * _ROUNDS) for name, value in used.items()}
    seconds = sum(service for _, service in rounds)
    busy = sum(used.values()) / seconds / (os.cpu_count() or 1)
    limits = (
        f"processor time a sign-in: {shares(each, 'ms')}; all cores {busy:.0%} busy with it, the "
        f"worker's interpreter {used['worker'] / seconds:.0%}. Bare {_THREADS} threads, service a "
        f"worker of 32 and {_CLIENTS} clients."
    )
    return Figure(
        key=key,
        what=what,
        bare=_ROUND / statistics.median(bare for bare, _ in rounds),
        service=_ROUND / statistics.median(service for _, service in rounds),
        unit="/s",
        aim=Aim(1.3 if key == "b" else 0.7, at_most=False),
        limits=limits,
        details={f"ms_{name}": round(value, 2) for name, value in each.items()},
        ratios=tuple(bare / service for bare, service in rounds),
    )


def processor_time(place: Place) -> list[Figure]:
    """(f): Garmin answers at once; bare and service take turns with as many at a time."""
    with place.bare_garth() as garth, place.stack() as stack:
        stack.start()
        asyncio.run(sign_in_all(stack.port, place.people(64), _THREADS))
        place.garmin.answer_after(0)
        rounds = [_processor_time(place, stack, garth) for _ in range(_ROUNDS)]
    bare, api, worker = (statistics.median(column) for column in zip(*rounds, strict=True))
    limits = (
        f"API {api:.1f} ms, worker {worker:.1f} ms; Redis, the database, the client and Garmin "
        f"are not in it. {_THREADS} sign-ins at a time on both sides."
    )
    return [
        Figure(
            *("f", "processor time a sign-in, API and worker", bare, api + worker, "ms"),
            aim=Aim(1.5, at_most=True),
            limits=limits,
            details={"api_ms": api, "worker_ms": worker},
            ratios=tuple((api + worker) / bare for bare, api, worker in rounds),
        )
    ]


def _processor_time(place: Place, stack: Stack, garth: BareGarth) -> tuple[float, float, float]:
    """Milliseconds a sign-in of plain garth, API and worker, in one round."""
    meter = CpuMeter({"garth": garth.pid})
    garth.sign_in(place.people(_ROUND), _THREADS)
    bare = meter.milliseconds_each(_ROUND)["garth"]
    meter = CpuMeter({"API": stack.apis[0].pid, "worker": stack.workers[0].pid})
    asyncio.run(sign_in_all(stack.port, place.people(_ROUND), _THREADS))
    each = meter.milliseconds_each(_ROUND)
    return bare, each["API"], each["worker"]


def many_in_flight(place: Place) -> list[Figure]:
    """(c): one worker with a thread for each sign-in."""
    with place.stack() as stack:
        stack.migrate()
        processes = [stack.begin_api(), stack.begin_worker("--concurrency", str(CONCURRENCY))]
        for process in processes:
            process.wait_ready()
        place.garmin.answer_after(0)
        asyncio.run(sign_in_all(stack.port, place.people(8), 1))
        place.garmin.answer_after(_FLOOR / GARMIN_REQUESTS)
        meter = _meter(place, stack)
        took, files, memory = asyncio.run(_watched(place, stack))
        used, others = meter.seconds(), meter.taken_by_others()
    busy = sum(used.values()) / took / (os.cpu_count() or 1)
    limits = (
        f"processor time: {shares(used, 's')} ({busy:.0%} of all cores; what else ran on this "
        f"machine had {others:.0%}, and the floor does not move with it). The worker had "
        f"{files:.0f} files open at the most and {memory:.0f} MiB resident."
    )
    details = {"worker_files": files, "worker_mib": memory, "concurrency": CONCURRENCY}
    details |= {"taken_by_others": others}
    what = f"{IN_FLIGHT} sign-ins of {_FLOOR:.0f} s at once, one worker, --concurrency "
    aim = Aim(2.5, at_most=True)
    return [Figure("c", f"{what}{CONCURRENCY}", _FLOOR, took, "s", aim, limits, details)]


async def _watched(place: Place, stack: Stack) -> tuple[float, float, float]:
    """Seconds, and the most files and memory (MiB) of the worker meanwhile."""
    worker = psutil.Process(stack.workers[0].pid)
    files, memory = 0, 0.0

    async def watch() -> None:
        nonlocal files, memory
        while True:
            files = max(files, worker.num_fds())
            memory = max(memory, worker.memory_info().rss / 2**20)
            await asyncio.sleep(0.25)

    watching = asyncio.create_task(watch())
    started = time.perf_counter()
    await sign_in_all(stack.port, place.people(IN_FLIGHT), IN_FLIGHT)
    took = time.perf_counter() - started
    watching.cancel()
    return took, files, memory


def _meter(place: Place, stack: Stack, garth: BareGarth | None = None) -> CpuMeter:
    pids = {
        "API": stack.apis[0].pid,
        "worker": stack.workers[0].pid,
        "Redis": place.redis.pid,
        "PostgreSQL": place.postgres.pid,
        "simulator": place.garmin.pid,
        "client": os.getpid(),
    }
    if garth is not None:
        pids["plain garth"] = garth.pid
    return CpuMeter(pids)
