"""One API for all tests that leave it as it was; those that break something start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.service import Service, running_alone


@pytest.fixture(scope="session")
def running_service(server_folder: Path) -> Iterator[Service]:
    with running_alone(server_folder / "api") as service:
        yield service


@pytest.fixture
def service(running_service: Service) -> Service:
    """A running API with an empty Redis."""
    running_service.redis.flushall()
    return running_service
