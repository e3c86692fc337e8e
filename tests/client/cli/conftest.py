from pathlib import Path

import pytest

from tests.client.cli.program import Program
from tests.client.stand_in import LOGIN, StandIn, accepted, job, succeeded


@pytest.fixture
def service(stand_in: StandIn) -> StandIn:
    return stand_in


@pytest.fixture
def program(tmp_path: Path, service: StandIn) -> Program:
    return Program(tmp_path, service.url)


@pytest.fixture
def signed_in(service: StandIn, program: Program) -> Program:
    service.on(LOGIN, accepted("one"))
    service.on(job("one"), succeeded("one"))
    assert program.login().exit_code == 0
    # From here on the stored server has to do.
    del program.environment["FITTRACK_SERVER"]
    return program
