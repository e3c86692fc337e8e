"""`make bench`: every figure beside the same work done bare, in one run. See docs/benchmark.md."""

import argparse
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from dev.bench.client import SignInError
from dev.bench.figures import Figure, as_json, print_table
from dev.bench.keep_alive import month_of_keep_alive, what_is_due
from dev.bench.long_polls import long_polls
from dev.bench.memory import idle_memory
from dev.bench.place import Place, place
from dev.bench.refreshes import refreshes_a_second
from dev.bench.sign_ins import many_in_flight, one_sign_in, processor_time, sign_ins_a_second
from dev.bench.status import status_requests
from dev.bench.tokens import fresh_tokens
from dev.processes import NotReadyError

_FILES = 4096
"""Files that (c)'s worker and (g)'s API may have open: docs/benchmark.md."""

MEASUREMENTS: dict[str, Callable[[Place], list[Figure]]] = {
    "a": one_sign_in,
    "b": sign_ins_a_second,
    "c": many_in_flight,
    "d": idle_memory,
    "e": status_requests,
    "f": processor_time,
    "g": long_polls,
    "h": fresh_tokens,
    "i": refreshes_a_second,
    "j": what_is_due,
    "k": month_of_keep_alive,
}


def main() -> int:
    """0 when everything was measured, whatever the figures are."""
    arguments = _parser().parse_args()
    _raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="fittrack-bench-", ignore_cleanup_errors=True) as name:
        try:
            figures, text = _measure(Path(name), arguments.only)
        except (NotReadyError, SignInError, ExceptionGroup) as error:
            print(f"The benchmark could not measure: {error!r}", file=sys.stderr)
            return 1
        finally:
            if arguments.keep_logs is not None:
                _keep_logs(Path(name), arguments.keep_logs)
    if arguments.json:
        print(as_json(figures))
    else:
        print_table(figures, text)
    return 0


def _measure(folder: Path, only: list[str]) -> tuple[list[Figure], str]:
    figures: list[Figure] = []
    with place(folder) as where:
        for key in only:
            measure = MEASUREMENTS[key]
            print(f"({key}) {measure.__name__.replace('_', ' ')} …", file=sys.stderr, flush=True)
            with Redis.from_url(where.redis.url) as redis:
                redis.flushdb()
            figures += measure(where)
        return figures, where.text


def _keep_logs(folder: Path, to: Path) -> None:
    for log in folder.glob("**/*.log"):
        target = to / log.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(log, target)


def _raise_file_limit() -> None:
    """For this process and all that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _only(text: str) -> list[str]:
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    unknown = sorted(set(wanted) - set(MEASUREMENTS))
    if unknown or not wanted:
        raise argparse.ArgumentTypeError(f"choose from {', '.join(MEASUREMENTS)}")
    return wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.bench", description="What the service costs beside the bare work."
    )
    parser.add_argument("--only", type=_only, default=list(MEASUREMENTS), metavar="a,b,…")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="copy all logs there")
    return parser


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent.parent)
    sys.exit(main())
