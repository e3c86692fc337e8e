"""Release notes come from CHANGELOG.md, and only for the version that the project has."""

import subprocess
import sys

import pytest

from dev.processes import ROOT
from dev.release_notes import NoReleaseError, release_notes

CHANGELOG = """# Changelog

## Unreleased

- Something that is not out yet.

## 1.2.3 (2026-12-24)

- First change.

### More

- Second change.

## 1.2.2

## 1.2.30

- Another release.
"""


def test_the_notes_are_the_text_under_the_versions_heading() -> None:
    assert release_notes("v1.2.3", "1.2.3", CHANGELOG) == (
        "- First change.\n\n### More\n\n- Second change."
    )
    assert release_notes("v1.2.30", "1.2.30", CHANGELOG) == "- Another release."


@pytest.mark.parametrize(
    ("tag", "project_version", "reason"),
    [
        ("v1.2.4", "1.2.3", "pyproject.toml has version 1.2.3"),
        ("1.2.3", "1.2.3", "pyproject.toml"),
        ("v1.2.2", "1.2.2", "no notes under a heading `## 1.2.2`"),
        ("v1.2", "1.2", "no notes"),
        ("vUnreleased", "1.2.3", "pyproject.toml"),
    ],
)
def test_a_tag_without_version_or_notes_is_refused(
    tag: str, project_version: str, reason: str
) -> None:
    with pytest.raises(NoReleaseError, match=reason):
        release_notes(tag, project_version, CHANGELOG)


def test_the_script_fails_with_one_line_for_a_tag_that_is_not_the_projects() -> None:
    script = ROOT / "dev" / "release_notes.py"
    result = subprocess.run(
        [sys.executable, "-I", script, "v0.0.0"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("release notes: tag v0.0.0, but")
    assert result.stderr.count("\n") == 1
