"""Settings from the environment. Read only in the entry files, handed on from there."""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from limits import parse_many
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from redis.connection import parse_url
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from shared.errors import ConfigurationError

PREFIX = "FITTRACK_"
KNOWN_DRIVERS = ("garth", "garminconnect")
NAMES_OF_OTHERS = {
    f"{PREFIX}{name}"
    for name in (
        "SERVER",  # the client
        "CLIENT_KEY",
        "POLL_TOKEN",
        "IMAGE",  # docker-compose.yml
        "PULL_POLICY",
        "HEARTBEAT_FILE",  # the worker's health check
    )
}
"""Variables with our prefix that are no settings, but may stand in the same environment."""

_PREFIX_OF_TESTS = f"{PREFIX}TEST_"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")


class _FileSource(PydanticBaseSettingsSource):
    """Reads `FITTRACK_X` from the file that `FITTRACK_X_FILE` names, as Docker secrets want it."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = f"{PREFIX}{field_name.upper()}"
        path = os.environ.get(f"{name}_FILE")
        if path is None:
            return None, field_name, False
        if name in os.environ:
            raise ConfigurationError(f"{name} and {name}_FILE are both set: keep one")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(
                f"{name}_FILE names a file that can't be read: {path}"
            ) from None

    def __call__(self) -> dict[str, Any]:
        found = ((n, self.get_field_value(f, n)[0]) for n, f in self._fields())
        return {name: value for name, value in found if value is not None}

    def _fields(self) -> list[tuple[str, FieldInfo]]:
        return list(self.settings_cls.model_fields.items())


def _check_redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    try:
        parse_url(url.get_secret_value())  # type: ignore[no-untyped-call]
    except ValueError:  # its text holds a piece of the URL
        raise ValueError("is not a Redis URL: percent-encode what stands in it") from None
    return url


def _check_database_url(url: SecretStr) -> SecretStr:
    try:
        driver = make_url(url.get_secret_value()).drivername
    except (ArgumentError, ValueError):  # the port is no number
        driver = ""
    if driver not in ("postgresql+psycopg", "sqlite"):
        raise ValueError("must be a URL that begins with postgresql+psycopg:// or sqlite:///")
    return url


def _check_notation(value: str) -> str:
    try:
        parse_many(value)
    except ValueError:
        raise ValueError("must read like 20/minute;100/hour") from None
    return value


RateLimitNotation = Annotated[str, AfterValidator(_check_notation)]
"""The notation of the `limits` library: one or more windows, each with a limit of its own."""

RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]


class DatabaseSettings(BaseSettings):
    """The one setting that migrations need."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: Annotated[SecretStr, AfterValidator(_check_database_url)]
    """Where users, tokens and sessions are kept: `postgresql+psycopg://…` or `sqlite:///…`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls)

    @classmethod
    def from_environment(cls) -> Self:
        """Read and check every setting. Raises ConfigurationError, one line with all faults."""
        faults = _unknown_names(os.environ)
        try:
            settings = cls()
        except ConfigurationError as error:
            faults.append(str(error))
        except ValidationError as error:
            faults += [
                f"{PREFIX}{str(e['loc'][0]).upper()}: {_reason(e['type'], e['msg'])}"
                for e in error.errors(include_input=False, include_context=False)
            ]
        if faults:
            raise ConfigurationError("; ".join(faults))
        return settings


class Settings(DatabaseSettings):
    """Everything that can be set."""

    redis_url: RedisUrl
    """Jobs, challenges and driver rests live here."""

    broker_url: RedisUrl | None = Field(None, validate_default=True)
    """Celery's queues; the Redis URL if not set."""

    encryption_keys: SecretStr
    """`NAME:BASE64[,NAME:BASE64…]`, 32 bytes each: the first seals, all open."""

    garmin_drivers: Annotated[tuple[str, ...], NoDecode] = KNOWN_DRIVERS
    """Which Garmin libraries to sign in with, in order, comma-separated."""

    job_ttl: int = Field(900, ge=120, le=86_400)
    """Seconds a job can be polled."""

    challenge_ttl: int = Field(600, ge=30, le=3600)
    """Seconds a person has for the code."""

    session_ttl: int = Field(30 * 86_400, ge=60)
    """Seconds a user session lasts at the most."""

    session_idle_ttl: int = Field(7 * 86_400, ge=60)
    """Seconds after which a user session that nobody uses ends."""

    mfa_attempts: int = Field(3, ge=1, le=10)
    """Codes that may be tried for one challenge."""

    limit_login_per_ip: RateLimitNotation = "20/minute;100/hour"
    """Sign-ins that one address may submit."""

    limit_login_per_account: RateLimitNotation = "5/15minute;20/day"
    """Sign-ins of one Garmin account that may fail."""

    limit_code_per_ip: RateLimitNotation = "30/minute"
    """Codes that one address may submit."""

    limit_code_per_challenge: RateLimitNotation = "20/hour"
    """Codes that may be submitted for one challenge, also where Garmin gave no verdict on them."""

    require_client_key: bool = False
    """Whether sign-ins and codes are taken from known apps alone."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may use the API from a browser, comma-separated. None by default."""

    event_days: int = Field(90, ge=1, le=3650)
    """Days the audit log is kept, and sessions that are over."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much the log tells. No secret, at any level."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """One JSON object a line, or for people; `auto`: for people on a terminal."""

    @field_validator("broker_url")
    @classmethod
    def _check_broker_url(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Celery speaks to Redis over TCP alone."""
        url = value or info.data.get("redis_url")
        if url is not None and url.get_secret_value().startswith("unix://"):
            raise ValueError(
                "must be redis:// or rediss://; with unix:// for Redis it has to be set"
            )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError(
                "must name origins as browsers do: https://app.example.com, without a path"
            )
        return value

    @field_validator("garmin_drivers", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("garmin_drivers")
    @classmethod
    def _check_drivers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(value) - set(KNOWN_DRIVERS))
        if unknown or not value or len(set(value)) != len(value):
            raise ValueError(f"must name one or both of {', '.join(KNOWN_DRIVERS)}, each once")
        return value

    @property
    def queue_url(self) -> str:
        """Where Celery's messages go. Celery asks for no certificate unless it is told to."""
        url = (self.broker_url or self.redis_url).get_secret_value()
        if url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
            url += ("&" if "?" in url else "?") + "ssl_cert_reqs=required"
        return url


def _unknown_names(environment: Iterable[str]) -> list[str]:
    """One fault for each variable that looks like a setting and is none."""
    settings = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    known = {*settings, *(f"{name}_FILE" for name in settings), *NAMES_OF_OTHERS}
    return [
        f"{name}: is not a setting{_suggestion(name.upper(), known)}"
        for name in sorted(environment)
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and not name.upper().startswith(_PREFIX_OF_TESTS)
    ]


def _suggestion(name: str, known: Iterable[str]) -> str:
    # Without the prefix, which would make all of them look alike.
    candidates = [candidate.removeprefix(PREFIX) for candidate in sorted(known)]
    close = difflib.get_close_matches(name.removeprefix(PREFIX), candidates, n=1)
    return f", did you mean {PREFIX}{close[0]}?" if close else ""


def _reason(kind: str, message: str) -> str:
    return "is required" if kind == "missing" else message.removeprefix("Value error, ")
