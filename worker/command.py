"""Celery's `worker` command alone: the `celery` program loads all others, and takes 17 MiB more."""

import sys

from shared.imports import absent

with absent("msgpack", "yaml"):  # which kombu imports if they are there, and nothing here uses
    import kombu.serialization  # noqa: F401

# isort: split
from celery import Celery

with absent("pygments"):
    from celery.bin.base import CLIContext
    from celery.bin.worker import worker


def run(app: Celery) -> None:
    """Start a worker with the options of the command line, which are `celery worker`'s."""
    worker.main(
        args=sys.argv[1:], prog_name="worker", obj=CLIContext(app, no_color=False, workdir=None)
    )
