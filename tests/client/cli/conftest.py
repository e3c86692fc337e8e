from pathlib import Path

import pytest

from tests.client.cli.program import Program
from tests.client.stand_in import StandIn


@pytest.fixture
def service(stand_in: StandIn) -> StandIn:
    return stand_in


@pytest.fixture
def program(tmp_path: Path, service: StandIn) -> Program:
    return Program(tmp_path, service.url)
