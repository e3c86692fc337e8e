"""`make audit` fails if it can't look something up; each suppressed security rule has a reason."""

import re
import subprocess
from pathlib import Path

from dev.processes import ROOT, clean_environment
from tests.shared.samples import nothing_listens

SERVICE = ("admin", "api", "client", "shared", "worker")
SUPPRESSION = re.compile(r"#\s*(nosec\b|noqa(?!:)|noqa:.*\bS\d)", re.IGNORECASE)
EXPLAINED = re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)* - \w+")


def unexplained(lines: list[str]) -> list[str]:
    """Return the lines that suppress a security rule without a reason."""
    return [line for line in lines if SUPPRESSION.search(line) and not EXPLAINED.search(line)]


def test_without_a_network_it_fails_and_names_what_it_could_not_check(tmp_path: Path) -> None:
    nowhere = f"http://{nothing_listens()}"
    away = {"HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "ALL_PROXY": nowhere}
    no_cache = {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    audit = subprocess.run(
        ["/bin/sh", ROOT / "dev" / "audit.sh"],
        env=clean_environment(away | no_cache),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert audit.returncode == 1
    last_line = audit.stderr.splitlines()[-1]
    assert "make audit: failed for requirements/runtime.txt requirements/dev.txt:" in last_line
    assert "All checks passed!" in audit.stdout, "ruff needs no network"
    assert "No findings to report." in audit.stdout, "zizmor needs no network"


def test_every_suppressed_security_rule_has_a_reason() -> None:
    lines = [
        f"{path.relative_to(ROOT)}: {line}"
        for package in SERVICE
        for path in sorted((ROOT / package).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert any(SUPPRESSION.search(line) for line in lines)
    assert unexplained(lines) == []


def test_a_suppression_without_a_reason_is_found() -> None:
    silent = ["x  # noqa: S101", "x  # noqa", "x # nosec", "x  # noqa: E501, S311", "x  # noqa:S1"]
    assert unexplained(silent) == silent
    assert unexplained(["x  # noqa: S101 - for mypy", "x  # noqa: ANN401", "x  # noqa: E501"]) == []
