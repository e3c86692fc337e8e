"""Celery's `worker` command alone: the `celery` program loads all others, and takes 17 MiB more."""

import sys

from shared.imports import absent, without_init

# What is imported if it is there, and nothing here uses; and AMQP, of which Redis needs errors.
with (
    absent("cffi", "greenlet", "msgpack", "psutil", "pygments", "yaml"),
    without_init("amqp", "exceptions"),
):
    import celery.bootsteps
    import celery.utils.debug  # noqa: F401
    import kombu.common
    import kombu.transport.redis  # noqa: F401
    from celery import Celery
    from celery.bin.base import CLIContext
    from celery.bin.worker import worker


def run(app: Celery) -> None:
    """Start a worker with the options of the command line, which are `celery worker`'s."""
    context = CLIContext(app, no_color=False, workdir=None)
    with absent("billiard.pool"):  # the pool of processes, which is refused
        worker.main(args=sys.argv[1:], prog_name="worker", obj=context)
