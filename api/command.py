"""uvicorn's command line, with the options that this service needs as defaults."""

import resource
import sys

import uvicorn

DEFAULTS = {
    "--http": "api.http.protocol:DeadlineProtocol",
    "--timeout-graceful-shutdown": "35",  # longer than the longest poll, which is 30 s
}
_MOST_OPEN_FILES = 16_384
_FILES_OF_OUR_OWN = 300
"""Connections to Redis, the broker and the database, listening sockets, logs."""


def run(app: str) -> None:
    """Serve until a signal comes. `app` is uvicorn's `module:attribute`."""
    limit = connection_limit(_raise_open_files())
    defaults = DEFAULTS | {"--limit-concurrency": str(limit)}
    options = [part for option in defaults.items() for part in option]
    uvicorn.main(args=[app, "--no-server-header", *options, *sys.argv[1:]], prog_name="api")


def connection_limit(open_files: int) -> int:
    """Return how many clients may be connected at once, so that no file descriptor runs out."""
    return max(open_files // 2, open_files - _FILES_OF_OUR_OWN)


def _raise_open_files() -> int:
    """Raise the soft limit on open files as far as the hard one allows, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
