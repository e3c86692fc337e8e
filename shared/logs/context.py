"""The request id and the job id that every log line carries."""

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars


@contextmanager
def request_context(request_id: str) -> Iterator[None]:
    """Lines of this task, and of the threads it calls, are about this request alone."""
    clear_contextvars()  # a connection's next request begins in the context of the one before
    bind_contextvars(request_id=request_id)
    try:
        yield
    finally:
        clear_contextvars()


def bind_job(job_id: str) -> None:
    """The request is about this job."""
    bind_contextvars(job_id=job_id)


@contextmanager
def job_context(job_id: str, request_id: str | None = None) -> Iterator[None]:
    """Lines in the block are about this job, and about the request that submitted it, if known."""
    asked = {} if request_id is None else {"request_id": request_id}
    with bound_contextvars(job_id=job_id, **asked):
        yield
