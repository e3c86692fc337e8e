"""The HTTP API."""

import shared  # noqa: F401 - before the libraries whose extras it leaves out
