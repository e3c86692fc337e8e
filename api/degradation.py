"""What works, but not as it has to: named by `/readyz`, and logged when it appears."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from shared.errors import ServiceUnavailableError
from shared.redis.database_disk import DatabaseDisk
from shared.redis.faults import RedisFaults


class Degradation:
    def __init__(self, faults: Sequence[RedisFaults], database_disk: DatabaseDisk) -> None:
        self._faults = faults
        self._database_disk = database_disk

    def names(self) -> list[str]:
        """Return what can be told now. A Redis that does not answer is not degraded, but away."""
        return list(self._known())

    def _known(self) -> Iterable[str]:
        for of_one in self._faults:
            with suppress(ServiceUnavailableError):
                yield from of_one.names()
        with suppress(ServiceUnavailableError):
            if self._database_disk.is_full():
                yield "database_disk"
