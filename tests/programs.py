"""The API and the worker as tests start them.

With short timings, or in `make test-full` (FITTRACK_TEST_TIMINGS=production) with those of
production, bigger crowds and more examples.
"""

import os
from dataclasses import replace

from dev.forked import ForkedProgram
from dev.stack import PRODUCTION, SHORT

FULL = {"short": False, "production": True}[os.environ.get("FITTRACK_TEST_TIMINGS", "short")]
"""Read once: later on, tests see none of the machine's settings."""

PROGRAMS = replace(PRODUCTION if FULL else SHORT, launch=ForkedProgram)
TIMINGS = PROGRAMS.timings
