"""Which refusal or fault, if any, a request meets."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from dev.simulator.messages import Request
from dev.simulator.settings import Fault, FaultKind, Refusal, Stage

CONNECT_KINDS = (FaultKind.HANG_CONNECT, FaultKind.CUT_CONNECT)


class Refusals:
    """Whole clients and flows that are turned away."""

    def __init__(self, refuse: Mapping[str, Refusal]) -> None:
        self._refuse = dict(refuse)
        self._used = dict.fromkeys(self._refuse, 0)

    def meet(self, keys: Iterable[str], stage: Stage) -> Refusal | None:
        """The refusal for any of these clients and flows; counts it as used."""
        for key in keys:
            refusal = self._refuse.get(key)
            if refusal is None or stage not in refusal.at:
                continue
            if refusal.times is None or self._used[key] < refusal.times:
                self._used[key] += 1
                return refusal
        return None


class Faults:
    """What goes wrong for everybody."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = list(faults)
        self._seen = [0] * len(self._faults)

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)
        self._seen.append(0)

    def meet(self, request: Request) -> Fault | None:
        """The first fault for this request; counts it as used."""
        for index, fault in enumerate(self._faults):
            if fault.kind in CONNECT_KINDS:
                continue
            if (
                fnmatchcase(request.path, fault.path)
                and fnmatchcase(request.host, fault.host)
                and fnmatchcase(request.method, fault.method)
                and self._falls_due(index, fault)
            ):
                return fault
        return None

    def meet_connect(self, host: str) -> Fault | None:
        """The first fault for a connection to this host; counts it as used."""
        for index, fault in enumerate(self._faults):
            due = fault.kind in CONNECT_KINDS and fnmatchcase(host, fault.host)
            if due and self._falls_due(index, fault):
                return fault
        return None

    def _falls_due(self, index: int, fault: Fault) -> bool:
        seen = self._seen[index]
        self._seen[index] += 1
        return seen >= fault.skip and (fault.times is None or seen < fault.skip + fault.times)
