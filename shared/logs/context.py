"""The request id and the job id that every log line carries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ids: ContextVar[Mapping[str, str]] = ContextVar("log_ids", default=_NOTHING)


def current_ids() -> Mapping[str, str]:
    """What the line that is being logged is about."""
    return _ids.get()


@contextmanager
def request_context(request_id: str) -> Iterator[None]:
    """Lines of this task, and of the threads it calls, are about this request alone."""
    _ids.set({"request_id": request_id})
    try:
        yield
    finally:
        _ids.set(_NOTHING)  # a connection's next request begins in the context of the one before


def bind_job(job_id: str) -> None:
    """The request is about this job."""
    _ids.set({**_ids.get(), "job_id": job_id})


@contextmanager
def job_context(job_id: str, request_id: str | None = None) -> Iterator[None]:
    """Lines in the block are about this job, and about the request that submitted it, if known."""
    about = (
        {"job_id": job_id} if request_id is None else {"job_id": job_id, "request_id": request_id}
    )
    token = _ids.set({**_ids.get(), **about})
    try:
        yield
    finally:
        _ids.reset(token)
