"""The GitHub workflows: they give nothing away, and call what exists."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from dev.processes import ROOT
from dev.stack import BIN

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = YAML(typ="safe").load(path)["jobs"]
    return loaded


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def test_compose_file_and_workflows_follow_their_schemas() -> None:
    assert subprocess.run(["/bin/sh", ROOT / "dev/check-schemas.sh"], check=False).returncode == 0


def test_zizmor_finds_nothing() -> None:
    command = [str(BIN / "zizmor"), "--offline", "--no-progress", str(ROOT / ".github")]
    assert subprocess.run(command, check=False).returncode == 0


@every_workflow
def test_actions_are_pinned_by_digest_and_name_their_version(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.+)", text)
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@every_workflow
def test_permissions_are_given_job_by_job(path: Path) -> None:
    assert YAML(typ="safe").load(path)["permissions"] == {}
    for name, job in jobs(path).items():
        assert job["permissions"], name
        assert job["timeout-minutes"], name


@every_workflow
def test_no_expression_reaches_a_shell(path: Path) -> None:
    assert not [step["run"] for step in steps(path) if "${{" in step.get("run", "")]


@every_workflow
def test_checkout_leaves_no_credentials_behind(path: Path) -> None:
    checkouts = [s for s in steps(path) if s.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(jobs(path))
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@every_workflow
def test_make_targets_and_scripts_exist(path: Path) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for command in (step.get("run", "") for step in steps(path)):
        assert set(re.findall(r"^make (\S+)", command, re.MULTILINE)) <= set(targets)
        for script in re.findall(r"python3 (\S+\.py)", command):
            assert (ROOT / script).is_file()


def test_every_supported_python_is_checked() -> None:
    strategy = jobs(ROOT / ".github/workflows/check.yml")["check"]["strategy"]
    versions = strategy["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={versions[0]}"
    assert (ROOT / ".python-version").read_text("utf-8").strip() in versions
