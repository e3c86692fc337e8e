"""Settings from the environment, read at startup and passed on from there."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from redis.connection import parse_url
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from shared.errors import ConfigurationError
from shared.keyspace import KeySpace
from shared.rates import rates

PREFIX = "FITTRACK_"
SIGN_IN_DRIVERS = ("garth", "garminconnect")
KNOWN_DRIVERS = (*SIGN_IN_DRIVERS, "personal_api")
"""All drivers: the last one only renews what people have a key of Garmin's for."""

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
"""Variables with our prefix that are not settings, but may be set in the same environment."""

_PREFIX_OF_TESTS = f"{PREFIX}TEST_"
_REDIS_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,32}")  # no colon: one can't begin with another
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")

_PUBLIC_URL = re.compile(rf"(?:{_ORIGIN.pattern})(?:/[A-Za-z0-9._~-]+)*")


def _check_redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    try:
        parse_url(url.get_secret_value())  # type: ignore[no-untyped-call]
    except ValueError:  # its message quotes parts of the URL
        raise ValueError(
            "is not a valid URL: percent-encode special characters in the password"
        ) from None
    return url


def _check_database_url(url: SecretStr) -> SecretStr:
    try:
        driver = make_url(url.get_secret_value()).drivername
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        driver = ""
    if driver not in ("postgresql+psycopg", "sqlite"):
        raise ValueError("must be a URL that begins with postgresql+psycopg:// or sqlite:///")
    return url


def _check_notation(value: str) -> str:
    try:
        rates(value)
    except ValueError:
        raise ValueError("must have the form 20/minute;100/hour") from None
    return value


RateLimitNotation = Annotated[str, AfterValidator(_check_notation)]
"""One or more limits as `shared/rates.py` reads them."""

RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]


class DatabaseSettings(BaseModel):
    """The only setting that migrations need."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, validate_default=True)

    database_url: Annotated[SecretStr, AfterValidator(_check_database_url)]
    """The database for users, tokens and sessions: `postgresql+psycopg://…` or `sqlite:///…`."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read and validate all settings. Raises ConfigurationError with all errors in one line."""
        errors = unknown_names(os.environ)
        try:
            settings = cls.model_validate(_values(cls.model_fields, os.environ))
        except ConfigurationError as error:
            errors.append(str(error))
        except ValidationError as error:
            errors += [
                f"{PREFIX}{str(e['loc'][0]).upper()}: {_reason(e['type'], e['msg'])}"
                for e in error.errors(include_input=False, include_context=False)
            ]
        if errors:
            raise ConfigurationError("; ".join(errors))
        return settings


class Settings(DatabaseSettings):
    """All settings of the service."""

    redis_url: RedisUrl
    """The Redis for jobs, challenges and driver cooldowns."""

    broker_url: RedisUrl | None = Field(None, validate_default=True)
    """The Redis for Celery's queues; by default the same."""

    redis_prefix: str = KeySpace().prefix
    """What the names of all keys, channels and queues in Redis begin with."""

    encryption_keys: SecretStr
    """`NAME:BASE64[,NAME:BASE64…]`, 32 bytes each: the first encrypts, all decrypt."""

    garmin_drivers: tuple[str, ...] = SIGN_IN_DRIVERS
    """Garmin libraries to sign in with, in the order in which they are tried, comma-separated."""

    garmin_proxy: tuple[SecretStr, ...] = ()
    """Proxies for all that goes to Garmin, comma-separated: the next where Garmin refuses one."""

    job_ttl: int = Field(900, ge=120, le=86_400)
    """Seconds for which a job can be polled."""

    challenge_ttl: int = Field(600, ge=30, le=3600)
    """Seconds a user has to enter the code."""

    session_ttl: int = Field(30 * 86_400, ge=60)
    """Longest life of a user session, in seconds."""

    session_idle_ttl: int = Field(7 * 86_400, ge=60)
    """Seconds after which an unused user session ends."""

    mfa_attempts: int = Field(3, ge=1, le=10)
    """Codes that may be tried for one challenge."""

    limit_login_per_ip: RateLimitNotation = "20/minute;100/hour"
    """Sign-ins that one address may submit."""

    limit_login_per_client: RateLimitNotation = "600/minute;20000/day"
    """Sign-ins that one app may submit with its key, whatever its servers' addresses."""

    limit_login_per_account: RateLimitNotation = "5/15minute;20/day"
    """Sign-ins and codes that Garmin may reject for one account; a success resets the count."""

    limit_code_per_ip: RateLimitNotation = "30/minute"
    """Codes that one address may submit."""

    limit_code_per_client: RateLimitNotation = "1200/minute"
    """Codes that one app may submit with its key."""

    limit_code_per_challenge: RateLimitNotation = "20/hour"
    """Codes that may be submitted for one challenge, including those that Garmin never judged."""

    limit_codes_per_account: RateLimitNotation = "3/15minute;10/day"
    """Codes that Garmin may be made to send for one account, whoever signs in."""

    limit_tokens_per_client: RateLimitNotation = "3000/minute"
    """Access tokens that one app may ask for with its key."""

    limit_refreshes_per_connection: RateLimitNotation = "20/hour;60/day"
    """Refreshes of one connection's tokens that apps and the person may cause."""

    session_tokens: bool = True
    """Whether a person's own session may ask for the person's Garmin access token."""

    share_per_ip: int = Field(25, ge=1, le=100)
    """Percent of a worker's threads, of those that others leave, that one address may hold."""

    share_per_client: int = Field(75, ge=1, le=100)
    """The same for one app, with its key."""

    worker_one_processor: bool = True
    """Whether a worker's threads stay on one processor: `worker/processor.py` says why."""

    require_client_key: bool = False
    """Whether to accept sign-ins and codes only with a client key."""

    public_url: str | None = None
    """Where people reach the API, for links to the connect page: `https://auth.example.com`."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may use the API from a browser, comma-separated."""

    refresh_rate: int = Field(30, ge=1, le=6000)
    """Refreshes a minute, of the whole service, that keep connections alive nobody uses."""

    event_days: int = Field(90, ge=1, le=3650)
    """Days to keep the audit log and ended sessions."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The lowest level that is logged. No level shows a secret."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """`json`: one object per line; `console`: for people; `auto`: console on a terminal."""

    @field_validator("broker_url", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("broker_url")
    @classmethod
    def _check_broker_url(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # Celery's Redis transport has no unix://.
        url = value or info.data.get("redis_url")
        if url is not None and url.get_secret_value().startswith("unix://"):
            raise ValueError("must be redis:// or rediss://, also if FITTRACK_REDIS_URL is unix://")
        return value

    @field_validator("redis_prefix")
    @classmethod
    def _check_redis_prefix(cls, value: str) -> str:
        if not _REDIS_PREFIX.fullmatch(value):
            raise ValueError("must be 1 to 32 letters, digits, dashes, underscores or dots")
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        url = value.strip().rstrip("/")
        if not _PUBLIC_URL.fullmatch(url):
            raise ValueError(
                "must have the form https://auth.example.com or https://example.com/auth"
            )
        return url

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError("must list origins without a path: https://app.example.com")
        return value

    @field_validator("garmin_drivers", "cors_origins", "garmin_proxy", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("garmin_drivers")
    @classmethod
    def _check_drivers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unable = set(value) - set(SIGN_IN_DRIVERS)
        if unable & set(KNOWN_DRIVERS):
            raise ValueError("must not list personal_api: nobody signs in with it")
        if unable or not value or len(set(value)) != len(value):
            raise ValueError(f"must list one or both of {', '.join(SIGN_IN_DRIVERS)}, each once")
        return value

    @field_validator("garmin_proxy")
    @classmethod
    def _check_proxies(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_is_proxy(url.get_secret_value()) for url in value):
            raise ValueError(
                "must list URLs like http://name:password@proxy.example.com:3128: "
                "percent-encode special characters in the password"
            )
        return value

    @property
    def keyspace(self) -> KeySpace:
        return KeySpace(self.redis_prefix)

    @property
    def has_own_broker(self) -> bool:
        """Whether Celery's queues are in another Redis than the rest."""
        return self.broker_url not in (None, self.redis_url)

    @property
    def queue_url(self) -> str:
        """Celery's broker URL. With TLS it requires a valid certificate, which Celery does not."""
        url = (self.broker_url or self.redis_url).get_secret_value()
        if url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
            url += ("&" if "?" in url else "?") + "ssl_cert_reqs=required"
        return url


def _values(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that are set, whether their variables are written in capitals or not.

    `FITTRACK_X_FILE` names a file that `FITTRACK_X` is in, for Docker secrets. Raises
    ConfigurationError.
    """
    capitals = {name.upper(): value for name, value in environment.items()}
    values = {name: _value(f"{PREFIX}{name.upper()}", capitals) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _value(name: str, environment: Mapping[str, str]) -> str | None:
    path = environment.get(f"{name}_FILE")
    if path is None:
        return environment.get(name)
    if name in environment:
        raise ConfigurationError(f"{name} and {name}_FILE are both set: remove one")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{name}_FILE: can't read {path}") from None


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname and parts.port) and not parts.path
    except ValueError:  # no valid port
        return False


def unknown_names(environment: Iterable[str]) -> list[str]:
    """Return an error for each variable with our prefix that is not a setting."""
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
    import difflib

    # Without the common prefix, which would make all names similar.
    candidates = [candidate.removeprefix(PREFIX) for candidate in sorted(known)]
    close = difflib.get_close_matches(name.removeprefix(PREFIX), candidates, n=1)
    return f", did you mean {PREFIX}{close[0]}?" if close else ""


def _reason(kind: str, message: str) -> str:
    if kind == "bool_parsing":
        return "must be true or false"
    return "is required" if kind == "missing" else message.removeprefix("Value error, ")
