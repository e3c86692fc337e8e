"""The HTTP API."""

import shared  # noqa: F401 - before the libraries whose extras it leaves out
from shared.imports import unused

with unused("html"):  # for Starlette's own page about an error, which is never shown
    import starlette.middleware.errors  # noqa: F401
