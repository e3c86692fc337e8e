from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.cli.stand_in import StandIn


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn().running() as stand_in:
        yield stand_in
    assert stand_in.unexpected == []


@pytest.fixture
def program(tmp_path: Path, service: StandIn) -> Program:
    return Program(tmp_path, service.url)
