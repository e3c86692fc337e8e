"""docker-compose.yml and the Dockerfile keep their rules."""

import re

import pytest
from ruamel.yaml import YAML

from api.app import THREADS
from api.command import _MOST_OPEN_FILES, DEFAULTS
from dev.processes import ROOT
from shared.settings import PREFIX, Settings
from tests.dev.compose import COMPOSE, SECRETS, MissingVariableError, interpolated, services

CONTRACT = {
    "migrate": "alembic upgrade head",
    "api": "python -m api",
    "worker": "python -m worker",
    "flower": "celery -A worker.main flower",
}
LONGEST_SIGN_IN = 120
LONGEST_POLL = 30


# ---- Rules ----------------------------------------------------------------------------------


def test_the_commands_are_the_documented_ones() -> None:
    assert set(services()) == {*CONTRACT, "postgres", "redis"}
    for name, command in CONTRACT.items():
        words = command.split()
        assert services()[name].command[: len(words)] == words


def test_one_image_is_built_once_and_used_by_all() -> None:
    assert {services()[name].image for name in CONTRACT} == {"localhost/fittrack-auth"}
    assert [name for name, service in services().items() if "build" in service.raw] == ["migrate"]
    for name in ("api", "worker"):  # Compose starts nothing before everything is built
        assert "migrate" in services()[name].raw["depends_on"]


def test_a_published_image_is_pulled_in_place_of_the_build() -> None:
    published = "ghcr.io/example/fittrack-auth:1.2.3"
    named = services(variables=SECRETS | {"FITTRACK_IMAGE": published})
    for name in CONTRACT:
        assert named[name].image == published
        # Compose's default: pull what is missing, and build only what can't be pulled.
        assert "pull_policy" not in named[name].raw


@pytest.mark.parametrize("name", services())
def test_every_service_is_confined(name: str) -> None:
    raw = services()[name].raw
    assert raw["read_only"] is True
    assert raw["cap_drop"] == ["ALL"]
    assert raw["security_opt"] == ["no-new-privileges:true"]
    assert raw["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert "healthcheck" in raw or name == "migrate"
    # The others run as the image's own user: see the Dockerfile's last line.
    assert raw.get("user") == {"postgres": "postgres", "redis": "redis"}.get(name)


@pytest.mark.parametrize("name", services())
def test_every_service_is_bounded(name: str) -> None:
    raw = services()[name].raw
    assert re.fullmatch(r"\d+[mg]", raw["mem_limit"])
    assert 0 < raw["pids_limit"] <= 512
    assert raw["ulimits"]["core"] == 0
    assert raw["ulimits"]["nofile"] >= 4096


def test_the_bounds_are_wide_enough() -> None:
    found = services()
    assert found["api"].raw["pids_limit"] > THREADS + 50
    assert found["api"].raw["ulimits"]["nofile"] == _MOST_OPEN_FILES
    words = found["redis"].command[-1].split()
    memory = words[words.index("--maxmemory") + 1]
    assert 2 * int(memory.removesuffix("mb")) < int(found["redis"].raw["mem_limit"][:-1])


@pytest.mark.parametrize("server", ["postgres", "redis"])
def test_a_servers_image_can_be_chosen_by_digest(server: str) -> None:
    chosen = f"{server}:1@sha256:{'0' * 64}"
    named = services(variables=SECRETS | {f"{server.upper()}_IMAGE": chosen})
    assert named[server].image == chosen
    assert re.fullmatch(rf"{server}:[\w.-]+@sha256:[0-9a-f]{{64}}", services()[server].image)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(secret: str) -> None:
    assert set(re.findall(rf"\$\{{{secret}\b(..)", COMPOSE)) == {":?"}
    found = services(variables=SECRETS | {secret: ""}).values()
    with pytest.raises(MissingVariableError, match=secret):
        [service.environment for service in found]


def test_nothing_but_the_api_and_flower_is_published_and_only_on_the_loopback() -> None:
    published = {
        name: [interpolated(port, SECRETS) for port in service.raw["ports"]]
        for name, service in services().items()
        if "ports" in service.raw
    }
    assert published == {"api": ["127.0.0.1:8000:8000"], "flower": ["127.0.0.1:5555:5555"]}


def test_only_what_has_to_can_reach_the_outside() -> None:
    networks = YAML(typ="safe").load(COMPOSE)["networks"]
    assert networks["backend"] == {"internal": True}
    for name in ("edge", "monitoring"):
        assert networks[name]["driver_opts"] == {
            "com.docker.network.bridge.enable_ip_masquerade": "false"
        }
    assert networks["outbound"] is None
    outside = {name: set(s.raw["networks"]) - {"backend"} for name, s in services().items()}
    assert {name: names for name, names in outside.items() if names} == {
        "api": {"edge"},
        "flower": {"monitoring"},
        "worker": {"outbound"},
    }


def test_dependencies_can_be_fulfilled() -> None:
    found = services()
    for service in found.values():
        for name, how in service.raw.get("depends_on", {}).items():
            finishes = found[name].raw["restart"] == "no"
            expected = "service_completed_successfully" if finishes else "service_healthy"
            assert how == {"condition": expected}


def test_api_and_worker_receive_every_setting() -> None:
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in ("api", "worker"):
        environment = services()[name].raw["environment"]
        assert {n for n in environment if n.startswith(PREFIX)} == names


def test_flower_knows_neither_the_keys_nor_the_database() -> None:
    environment = str(services()["flower"].environment)
    assert SECRETS["FITTRACK_ENCRYPTION_KEYS"] not in environment
    assert SECRETS["POSTGRES_PASSWORD"] not in environment


def test_grace_periods_cover_running_sign_ins_and_polls() -> None:
    assert services()["worker"].stop_seconds > LONGEST_SIGN_IN + 10
    patience = int(DEFAULTS["--timeout-graceful-shutdown"])
    assert LONGEST_POLL < patience < services()["api"].stop_seconds


# ---- The image ------------------------------------------------------------------------------


def test_the_image_installs_pinned_wheels_and_runs_without_privileges() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    bases = [line for line in lines if line.startswith("FROM")]
    assert bases == [f"{bases[1]} AS build", bases[1]]
    assert re.fullmatch(r"FROM python:3\.13-slim@sha256:[0-9a-f]{64}", bases[1])
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert lines[-1].startswith("USER")
    for command in re.findall(r"pip [^&]*?install [^&]*", "\n".join(lines)):
        assert "--require-hashes" in command or "--no-index" in command


def test_the_image_copies_only_files_that_dockerignore_lets_in() -> None:
    let_in = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    assert ".env" not in let_in
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
            assert any(name == top or name.startswith(f"{top}/") for top in let_in), name
