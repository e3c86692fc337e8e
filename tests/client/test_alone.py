"""The package is built and installed alone, into an empty environment."""

import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dev.processes import ROOT, clean_environment
from dev.simulator import Simulator
from tests.client.stand_in import StandIn, token
from tests.dev.wire import wire

SERVICE = ("admin", "api", "dev", "shared", "tests", "worker")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the build backend that is installed: no registry is asked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    run([sys.executable, "-c", build, str(folder)], ROOT / "client")
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, its dependencies and nothing else."""
    return installed(wheel, tmp_path_factory.mktemp("environment"))


def installed(wheel: Path, folder: Path, extra: str = "") -> Path:
    """The dependencies are linked from this environment, one by one, as the metadata names them."""
    venv.create(folder, with_pip=False)
    uv = Path(sys.prefix) / "bin" / "uv"
    python = folder / "bin" / "python"
    run([str(uv), "pip", "install", "--no-deps", "--offline", "--python", str(python), str(wheel)])
    [site_packages] = folder.glob("lib/python*/site-packages")
    for name in dependencies("fittrack-auth-client", extra):
        link(name, site_packages)
    return folder


def dependencies(name: str, extra: str = "") -> set[str]:
    """The distributions that one needs, and those that they need."""
    found: set[str] = set()
    pending = [(name, extra)]
    while pending:
        requiring, wanted_extra = pending.pop()
        for text in distribution(requiring).requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            wanted = marker is None or marker.evaluate({"extra": wanted_extra})
            if wanted and requirement.name not in found:
                found.add(requirement.name)
                pending += [(requirement.name, each) for each in requirement.extras or {""}]
    return found


def link(name: str, site_packages: Path) -> None:
    installed = distribution(name)
    tops = {file.parts[0] for file in installed.files or [] if file.parts[0] != ".."}
    for top in tops - {"__pycache__"}:
        target = site_packages / top
        if not target.exists():
            target.symlink_to(Path(str(installed.locate_file(top))))


def run(
    command: list[str], folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(variables or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_client_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "fittrack_auth_client/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"fittrack_auth_client"}


def test_the_command_line_runs_alone(environment: Path, tmp_path: Path) -> None:
    command = str(environment / "bin" / "fittrack-auth")
    assert run([command, "--version"], tmp_path).strip() == "0.1.0"
    assert "login" in run([command, "--help"], tmp_path)


def test_nothing_of_the_service_is_there_or_needed(environment: Path, tmp_path: Path) -> None:
    program = f"""
import importlib, importlib.util, pkgutil
import fittrack_auth_client
for module in pkgutil.walk_packages(fittrack_auth_client.__path__, "fittrack_auth_client."):
    if not module.name.endswith(".requests_auth"):  # an extra's
        importlib.import_module(module.name)
there = {[*SERVICE, "celery", "redis", "sqlalchemy", "starlette"]!r}
print([name for name in there if importlib.util.find_spec(name)])
"""
    found = run([str(environment / "bin" / "python"), "-I", "-c", program], tmp_path)
    assert found.strip() == "[]"


LIBRARIES = """
import sys
from fittrack_auth_client import FitTrackAuth, UsageError
auth = FitTrackAuth(sys.argv[1], client_key="key")
def garminconnect(member): return auth.garminconnect(member).full_name
def garth(member): return auth.garth(member).profile["fullName"]
def requests(member): return type(auth.requests_auth(member)).__name__
for library in (garminconnect, garth, requests):
    try:
        print(library("member-1"))
    except UsageError as error:
        print(error.code)
"""


@pytest.mark.parametrize(
    ("extra", "printed"),
    [
        ("", ["extra_missing", "extra_missing", "extra_missing"]),
        ("requests", ["extra_missing", "extra_missing", "RequestsAuth"]),
        ("garminconnect", ["Plain Anna", "extra_missing", "RequestsAuth"]),
        ("garth", ["extra_missing", "Plain Anna", "RequestsAuth"]),
    ],
)
def test_an_extra_brings_its_library(
    wheel: Path,
    extra: str,
    printed: list[str],
    tmp_path: Path,
    stand_in: StandIn,
    garmin: Simulator,
) -> None:
    with wire(garmin) as browser:
        access_token = browser.di_tokens("plain-anna@example.com")["access_token"]
    stand_in.on("POST /api/users/member-1/garmin/token", token(access_token))
    python = installed(wheel, tmp_path, extra) / "bin" / "python"
    command = [str(python), "-I", "-c", LIBRARIES, stand_in.url]
    assert run(command, tmp_path, garmin.environment).split("\n")[:-1] == printed


def test_the_service_does_not_bring_the_command_line() -> None:
    commands = {entry.name for entry in distribution("fittrack-auth").entry_points}
    assert commands == {"fittrack-auth-admin"}
