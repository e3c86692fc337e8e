"""Decide which refusal or fault, if any, applies to a request."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from dev.simulator.messages import Request
from dev.simulator.settings import Fault, FaultKind, Refusal, Stage

CONNECT_KINDS = (FaultKind.HANG_CONNECT, FaultKind.CUT_CONNECT)


class Refusals:
    """Refusals of whole clients and flows, and how often each was used."""

    def __init__(self, refuse: Mapping[str, Refusal]) -> None:
        self._refuse = dict(refuse)
        self._used = dict.fromkeys(self._refuse, 0)

    def next_for(self, keys: Iterable[str], stage: Stage) -> Refusal | None:
        """Return the refusal of any of these clients and flows; counts as a use of it."""
        for key in keys:
            refusal = self._refuse.get(key)
            if refusal is None or stage not in refusal.at:
                continue
            if refusal.times is None or self._used[key] < refusal.times:
                self._used[key] += 1
                return refusal
        return None


class Faults:
    """Faults that apply to everybody, and how many requests each has matched."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = list(faults)
        self._matches = [0] * len(self._faults)

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)
        self._matches.append(0)

    def next_for(self, request: Request) -> Fault | None:
        """Return the first fault due for a request; counts as a match of it."""
        return self._next(
            lambda fault: (
                fault.kind not in CONNECT_KINDS
                and fnmatchcase(request.path, fault.path)
                and fnmatchcase(request.host, fault.host)
                and fnmatchcase(request.method, fault.method)
            )
        )

    def next_for_connect(self, host: str) -> Fault | None:
        """Return the first fault due for a connection to this host; counts as a match of it."""
        return self._next(
            lambda fault: fault.kind in CONNECT_KINDS and fnmatchcase(host, fault.host)
        )

    def _next(self, matches: Callable[[Fault], bool]) -> Fault | None:
        for index, fault in enumerate(self._faults):
            if matches(fault) and self._is_due(index, fault):
                return fault
        return None

    def _is_due(self, index: int, fault: Fault) -> bool:
        earlier = self._matches[index]
        self._matches[index] += 1
        return earlier >= fault.skip and (fault.times is None or earlier < fault.skip + fault.times)
