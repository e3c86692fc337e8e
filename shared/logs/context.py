"""The request id and the job id that every log line carries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ids: ContextVar[Mapping[str, str]] = ContextVar("log_ids", default=_NOTHING)


def current_ids() -> Mapping[str, str]:
    """Return the ids for the line that is being logged."""
    return _ids.get()


@contextmanager
def request_context(request_id: str) -> Iterator[None]:
    """Add the request id to the lines of this task, and of the threads that it calls."""
    _ids.set({"request_id": request_id})
    try:
        yield
    finally:
        _ids.set(_NOTHING)  # a connection's next request starts in the same context


def bind_job(job_id: str) -> None:
    """Add the job id to the following lines of this request."""
    _ids.set({**_ids.get(), "job_id": job_id})


@contextmanager
def job_context(job_id: str, request_id: str | None = None) -> Iterator[None]:
    """Add the job id, and the id of the request that submitted the job, to lines in the block."""
    about = (
        {"job_id": job_id} if request_id is None else {"job_id": job_id, "request_id": request_id}
    )
    token = _ids.set({**_ids.get(), **about})
    try:
        yield
    finally:
        _ids.reset(token)
