"""(d) resident memory, with nothing to do."""

import asyncio
import time

import psutil

from dev.bench.client import sign_in_all
from dev.bench.figures import Aim, Figure
from dev.bench.place import Place
from dev.bench.status import bare_endpoint

_MIB = 2**20
_SETTLE = 2.0


def idle_memory(place: Place) -> list[Figure]:
    """API and worker after one sign-in, beside plain garth and a bare Starlette after theirs."""
    with place.bare_garth() as garth, bare_endpoint(place, "nothing") as bare:
        with place.stack() as stack:
            stack.start()
            asyncio.run(sign_in_all(stack.port, place.people(1), 1))
            time.sleep(_SETTLE)
            api, worker = _resident(stack.apis[0].pid), _resident(stack.workers[0].pid)
        plain, starlette = _resident(garth.pid), _resident(bare.process.pid)
    limits = (
        f"what is imported: API {api:.0f} MiB, worker {worker:.0f} MiB, where plain garth alone "
        f"has {plain:.0f} and a bare Starlette {starlette:.0f}. docs/benchmark.md has the list."
    )
    details = {"api": api, "worker": worker, "plain_garth": plain, "bare_starlette": starlette}
    together, aim = api + worker, Aim(200, at_most=True, of_service=True)
    what = "resident memory, idle, API and worker"
    return [Figure("d", what, plain + starlette, together, "MiB", aim, limits, details)]


def _resident(pid: int) -> float:
    process = psutil.Process(pid)
    everyone = (process, *process.children(recursive=True))
    return float(sum(one.memory_info().rss for one in everyone) / _MIB)
