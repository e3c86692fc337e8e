""".env.example lists every setting with its true default."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from dev.processes import ROOT
from dev.stack import BIN
from shared.crypto.keyring import Keyring
from shared.settings import PREFIX, Settings

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")

ENTRIES = {
    name: value.strip("'\"")
    for name, value in re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE)
}
"""Every variable and its value, commented out or not."""

SETTINGS = {f"{PREFIX}{name.upper()}": field for name, field in Settings.model_fields.items()}
IN_COMPOSE = dict(re.findall(r"\$\{([A-Z_]+):([-?].*?)\}", COMPOSE))
"""What docker-compose.yml reads from `.env`, with `-default` or `?error message`."""


def test_it_lists_every_setting_every_compose_variable_and_nothing_else() -> None:
    assert set(ENTRIES) == set(SETTINGS) | set(IN_COMPOSE)


def test_it_shows_every_default(monkeypatch: pytest.MonkeyPatch) -> None:
    optional = {n: f.default for n, f in SETTINGS.items() if not f.is_required()}
    for name in SETTINGS:
        if ENTRIES[name]:
            monkeypatch.setenv(name, ENTRIES[name])
    monkeypatch.setenv("FITTRACK_ENCRYPTION_KEYS", "not parsed here")
    settings = Settings.from_environment()
    for name, default in optional.items():
        assert getattr(settings, name.removeprefix(PREFIX).lower()) == default, name
        assert ENTRIES[name] or not default, name


def test_it_shows_every_default_of_the_compose_file() -> None:
    defaults = {n: value[1:] for n, value in IN_COMPOSE.items() if value.startswith("-")}
    assert {name: ENTRIES[name] for name in defaults} == defaults


def test_required_variables_are_empty_and_all_others_are_commented_out() -> None:
    required = {name for name, value in IN_COMPOSE.items() if value.startswith("?")}
    assert all(ENTRIES[name] == "" for name in required)
    active = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert active == dict.fromkeys(required - {"FLOWER_BASIC_AUTH"}, "")


def test_a_shell_that_reads_it_does_not_lock_flower() -> None:
    """An empty FLOWER_BASIC_AUTH makes Flower refuse everybody."""
    result = subprocess.run(
        ["/bin/sh", "-ec", "set -a; . ./.env.example; env"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "FITTRACK_ENCRYPTION_KEYS=" in result.stdout.splitlines()
    assert "FLOWER_BASIC_AUTH" not in result.stdout


def test_a_shell_reads_every_default_literally(tmp_path: Path) -> None:
    """As `set -a; . ./.env` does for those who run the service without Docker."""
    everything = re.sub(r"^#([A-Z][A-Z_]+=)", r"\1", EXAMPLE, flags=re.MULTILINE)
    (tmp_path / "all.env").write_text(everything)
    names = sorted(name for name, value in ENTRIES.items() if "..." not in value)
    commands = "; ".join(f'printf "%s\\0" "${name}"' for name in names)
    result = subprocess.run(
        ["/bin/sh", "-ec", f". ./all.env; {commands}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    assert result.stdout.split("\0")[:-1] == [ENTRIES[name] for name in names]


def test_every_variable_has_a_comment() -> None:
    for paragraph in EXAMPLE.split("\n\n"):
        *comment, last = paragraph.strip().splitlines()
        if re.match(r"#?[A-Z][A-Z_]+=", last):
            assert comment, last
            assert all(line.startswith("# ") or line == "#" for line in comment), last


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("FITTRACK_ENCRYPTION_KEYS", "2026a:.{44}"),
        ("POSTGRES_PASSWORD", "[0-9a-f]{64}"),
        ("FLOWER_BASIC_AUTH", "operator:[0-9a-f]{32}"),
    ],
)
def test_the_command_above_a_secret_creates_a_valid_one(name: str, pattern: str) -> None:
    commands = re.findall(rf"^#   (python3 .*)\n#?{name}=", EXAMPLE, re.MULTILINE)
    assert len(commands) == 1
    first, second = run_in_shell(commands[0]), run_in_shell(commands[0])
    assert first != second
    assert re.fullmatch(pattern, first)
    if name == "FITTRACK_ENCRYPTION_KEYS":
        Keyring.parse(f"{first},{second.replace('2026a', '2026b')}")


def run_in_shell(command: str) -> str:
    environment = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()
