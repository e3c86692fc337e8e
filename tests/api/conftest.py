"""One API for all tests that leave it as it was; those that break something start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers import RedisServer
from tests.api.service import Service, running, settings


@pytest.fixture(scope="session")
def running_service(server_folder: Path, redis_server: RedisServer) -> Iterator[Service]:
    folder = server_folder / "api"
    folder.mkdir()
    with running(folder, settings(redis_server.url, folder)) as service:
        yield service


@pytest.fixture
def service(running_service: Service, real_redis_url: str) -> Service:
    """A running API with an empty Redis."""
    return running_service
