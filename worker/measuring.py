"""Counts and times requests to Garmin."""

from contextlib import suppress
from dataclasses import dataclass

from shared.errors import ServiceUnavailableError
from shared.redis.measurements import GARMIN_REQUESTS, GARMIN_SECONDS, Measurements
from shared.redis.unknown_answers import UnknownAnswers


@dataclass(frozen=True)
class MeasuredGarmin:
    """A `GarminObserver`. An unknown answer is rare, and brought to Redis at once."""

    measurements: Measurements
    unknown_answers: UnknownAnswers

    def sent(self, driver: str, step: str, result: str, seconds: float) -> None:
        self.measurements.count(GARMIN_REQUESTS, driver, step, result)
        self.measurements.observe(GARMIN_SECONDS, seconds, driver, step)

    def unknown(self, driver: str, step: str) -> None:
        with suppress(ServiceUnavailableError):
            self.unknown_answers.count(driver, step)
