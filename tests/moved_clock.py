"""Run a program with a wrong clock: `python -m tests.moved_clock SECONDS MODULE [ARGUMENT]...`.

Moves what Python's own clocks say; the monotonic clock stays.
"""

import datetime
import runpy
import sys
import time
from typing import Any

_Datetime = datetime.datetime


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Datetime)


def _move(seconds: float) -> None:
    real_time, real_ns, ahead = time.time, time.time_ns, datetime.timedelta(seconds=seconds)

    class Moved(_Datetime, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:  # noqa: ANN401 - a plain datetime
            return _Datetime.now(tz) + ahead

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)
    datetime.datetime = Moved  # type: ignore[misc]


if __name__ == "__main__":
    _move(float(sys.argv[1]))
    module = sys.argv[2]
    del sys.argv[1:3]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
