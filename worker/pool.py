"""The pool that a worker runs its jobs in: threads, and no other.

Runner, leases and drivers are shared by the threads of one process, and a pool of one (`solo`)
would not take another message, nor show that it is alive, while a job runs.
"""

import sys
from typing import Any

import click
from celery import concurrency
from celery.bin.worker import worker


class _ThreadsAlone(click.ParamType[Any]):
    name = "pool"

    def convert(self, value: Any, param: object, ctx: object) -> Any:  # noqa: ANN401, ARG002, RUF100
        if value != "threads":
            sys.exit(
                f"fittrack-auth worker: --pool {value}: jobs run in threads alone; leave it out"
            )
        return concurrency.get_implementation(value)


def allow_threads_alone() -> None:
    """Have `celery worker`'s command line end with one line if it asks for another pool.

    Celery takes `prefork`, its own default, for no choice at all.
    """
    for option in worker.params:
        if option.name == "pool":
            option.type, option.default = _ThreadsAlone(), "threads"
