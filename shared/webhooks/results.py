"""How deliveries end, and each try of one."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class Result(StrEnum):
    """How a try ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It is tried again."""

    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class Answer:
    """How a receiver answered: a status, or one word for why there was none."""

    text: str
    retry_after: int | None = None

    @property
    def is_success(self) -> bool:
        return len(self.text) == 3 and self.text.startswith("2")

    @property
    def is_gone(self) -> bool:
        return self.text == "410"
