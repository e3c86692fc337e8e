"""The workers."""

import shared  # noqa: F401 - before the libraries whose extras it leaves out
from shared.imports import absent

with absent("msgpack", "yaml"):  # which kombu imports if they are there, and nothing here uses
    import kombu.serialization  # noqa: F401
