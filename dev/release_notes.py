"""Print what CHANGELOG.md says about one release: `python3 dev/release_notes.py v1.2.3`."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class NoReleaseError(ValueError):
    """The tag can't be released; the text says why."""


def release_notes(tag: str, project_version: str, changelog: str) -> str:
    """Return the text under the version's heading. Raises NoReleaseError."""
    version = tag.removeprefix("v")
    if tag != f"v{project_version}":
        raise NoReleaseError(f"tag {tag}, but pyproject.toml has version {project_version}")
    for section in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        heading, _, notes = section.partition("\n")
        if heading.split()[0] == version and notes.strip():
            return notes.strip()
    raise NoReleaseError(f"CHANGELOG.md has no notes under a heading `## {version}`")


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        print(release_notes(sys.argv[1], project["version"], changelog))
    except NoReleaseError as error:
        sys.exit(f"release notes: {error}")


if __name__ == "__main__":
    main()
