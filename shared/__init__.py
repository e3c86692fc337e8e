"""Code shared by the API, the workers and the operator's commands."""

import os

# garth depends on logfire, whose plugin pydantic would load into every process. It takes 15 MB and
# a second at startup, and could observe the values that our models validate.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
