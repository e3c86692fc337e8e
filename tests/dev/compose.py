"""docker-compose.yml as Compose reads it, its variables interpolated."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from dev.processes import ROOT
from dev.stack import new_key

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SECRETS = {
    "FITTRACK_ENCRYPTION_KEYS": new_key(),
    "POSTGRES_PASSWORD": "postgres-secret",
    "REDIS_PASSWORD": "redis-secret",
    "FLOWER_BASIC_AUTH": "operator:flower-secret",
}


class MissingVariableError(LookupError):
    """`${NAME:?error message}` without NAME."""


@dataclass(frozen=True)
class Service:
    """One service, with its variables interpolated."""

    name: str
    raw: dict[str, Any]
    variables: Mapping[str, str]

    @property
    def image(self) -> str:
        return interpolated(self.raw["image"], self.variables)

    @property
    def command(self) -> list[str]:
        command = self.raw["command"]
        words = shlex.split(command) if isinstance(command, str) else command
        return [interpolated(word, self.variables) for word in words]

    @property
    def environment(self) -> dict[str, str]:
        """A name without a value passes on the variable of that name, if there is one."""
        filled = {
            name: self.variables.get(name) if value is None else interpolated(value, self.variables)
            for name, value in self.raw.get("environment", {}).items()
        }
        return {name: value for name, value in filled.items() if value is not None}

    @property
    def health_check(self) -> list[str]:
        test = self.raw["healthcheck"]["test"]
        if isinstance(test, str):
            return ["/bin/sh", "-c", interpolated(test, self.variables)]
        assert test[0] == "CMD"
        return [interpolated(word, self.variables) for word in test[1:]]

    @property
    def stop_seconds(self) -> int:
        return int(self.raw.get("stop_grace_period", "10s").removesuffix("s"))


def services(content: str = COMPOSE, variables: Mapping[str, str] = SECRETS) -> dict[str, Service]:
    document = YAML(typ="safe").load(content)
    return {n: Service(n, raw, variables) for n, raw in document["services"].items()}


def interpolated(value: str, variables: Mapping[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        name, how, rest = match.group("name", "how", "rest")
        if name is None:
            return "$"
        if variables.get(name):
            return variables[name]
        if how == "?":
            raise MissingVariableError(name)
        return str(rest)

    return re.sub(r"\$(?:\$|\{(?P<name>\w+):(?P<how>[-?])(?P<rest>[^}]*)\})", fill, value)
