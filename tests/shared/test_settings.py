"""Settings: their defaults, their sources, and one clear line for all errors."""

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from dev.stack import new_key
from shared.crypto.keyring import Keyring
from shared.errors import ConfigurationError
from shared.settings import DatabaseSettings, Settings

KEY = new_key("a")
REQUIRED = {
    "FITTRACK_REDIS_URL": "redis://127.0.0.1/0",
    "FITTRACK_DATABASE_URL": "postgresql+psycopg://fit:db-password@127.0.0.1/fit",
    "FITTRACK_ENCRYPTION_KEYS": KEY,
}


@pytest.fixture(autouse=True)
def _required(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


def error() -> str:
    """Return the single line with which reading the settings fails."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment()
    assert caught.value.__cause__ is None
    message = str(caught.value)
    assert message
    assert len(message.splitlines()) == 1
    return message


def test_unset_settings_have_their_defaults() -> None:
    settings = Settings.from_environment()
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1/0"
    assert settings.queue_url == "redis://127.0.0.1/0"
    assert settings.keyspace.key("job", "1") == "fittrack:job:1"
    assert settings.garmin_drivers == ("garth", "garminconnect")
    assert (settings.job_ttl, settings.challenge_ttl, settings.session_ttl) == (900, 600, 2_592_000)
    assert settings.mfa_attempts == 3
    assert (settings.log_level, settings.log_format) == ("INFO", "auto")


def test_every_setting_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "REDIS_PREFIX": "shop-2",
        "BROKER_URL": "rediss://broker/1",
        "GARMIN_DRIVERS": " garminconnect , garth ",
        "GARMIN_PROXY": "http://one:3128, http://name:pa%2Css@two:3128",
        "JOB_TTL": "600",
        "CHALLENGE_TTL": "300",
        "SESSION_TTL": "3600",
        "MFA_ATTEMPTS": "5",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "console",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"FITTRACK_{name}", value)
    settings = Settings.from_environment()
    assert settings.queue_url == "rediss://broker/1?ssl_cert_reqs=required"
    assert settings.keyspace.key("job", "1") == "shop-2:job:1"
    assert settings.garmin_drivers == ("garminconnect", "garth")
    proxies = [proxy.get_secret_value() for proxy in settings.garmin_proxy]
    assert proxies == ["http://one:3128", "http://name:pa%2Css@two:3128"]
    assert "pa%2Css" not in repr(settings)
    assert (settings.job_ttl, settings.challenge_ttl, settings.session_ttl) == (600, 300, 3600)
    assert settings.mfa_attempts == 5
    assert (settings.log_level, settings.log_format) == ("DEBUG", "console")


def test_a_variable_may_be_written_in_small_letters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "prefix").write_text("shop\n")
    monkeypatch.setenv("fittrack_job_ttl", "600")
    monkeypatch.setenv("fittrack_redis_prefix_file", str(tmp_path / "prefix"))
    settings = Settings.from_environment()
    assert (settings.job_ttl, settings.redis_prefix) == (600, "shop")


@pytest.mark.parametrize("url", ["rediss://broker/1?ssl_cert_reqs=none", "redis://broker/1"])
def test_an_explicit_certificate_policy_of_the_broker_is_kept(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("FITTRACK_BROKER_URL", url)
    assert Settings.from_environment().queue_url == url


def test_the_broker_url_must_be_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTRACK_REDIS_URL", "unix:///run/redis.sock")
    assert "FITTRACK_BROKER_URL: must be redis:// or rediss://" in error()
    monkeypatch.setenv("FITTRACK_BROKER_URL", "unix:///run/redis.sock")
    assert "FITTRACK_BROKER_URL: must be redis:// or rediss://" in error()
    monkeypatch.setenv("FITTRACK_BROKER_URL", "redis://127.0.0.1/1")
    assert Settings.from_environment().queue_url == "redis://127.0.0.1/1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMIT_LOGIN_PER_IP", "often"),
        ("LIMIT_CODE_PER_CHALLENGE", ""),
        ("LIMIT_CODES_PER_ACCOUNT", "three"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
        ("CORS_ORIGINS", "*"),
        ("EVENT_DAYS", "0"),
        ("SESSION_IDLE_TTL", "1"),
        ("REQUIRE_CLIENT_KEY", "perhaps"),
    ],
)
def test_an_invalid_limit_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"FITTRACK_{name}", value)
    assert error().startswith(f"FITTRACK_{name}: ")


def test_a_switch_is_true_or_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTRACK_SESSION_TOKENS", "maybe")
    assert error() == "FITTRACK_SESSION_TOKENS: must be true or false"


def test_an_empty_broker_url_is_that_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTRACK_BROKER_URL", "")
    settings = Settings.from_environment()
    assert settings.queue_url == settings.redis_url.get_secret_value()
    assert not settings.has_own_broker


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    assert error() == f"{name}: is required"


def test_all_errors_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FITTRACK_REDIS_URL")
    monkeypatch.setenv("FITTRACK_MFA_ATTEMPTS", "many")
    message = error()
    assert "FITTRACK_REDIS_URL: is required" in message
    assert "FITTRACK_MFA_ATTEMPTS: " in message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("REQUIRE_CLIENTKEY", "is not a setting, did you mean FITTRACK_REQUIRE_CLIENT_KEY?"),
        ("LOGLEVEL", "is not a setting, did you mean FITTRACK_LOG_LEVEL?"),
        ("REDIS_URL_FIEL", "is not a setting, did you mean FITTRACK_REDIS_URL_FILE?"),
        ("COLOUR_OF_THE_LOGO", "is not a setting"),
    ],
)
def test_an_unknown_name_suggests_the_closest_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setenv(f"FITTRACK_{name}", "hidden")
    assert error() == f"FITTRACK_{name}: {message}"
    with pytest.raises(ConfigurationError, match=f"FITTRACK_{name}: is not a setting"):
        DatabaseSettings.from_environment()


def test_unknown_names_and_invalid_values_are_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FITTRACK_MFA_ATEMPTS", "3")
    monkeypatch.setenv("FITTRACK_JOB_TTL", "soon")
    unknown, wrong = error().split("; ")
    assert unknown.startswith("FITTRACK_MFA_ATEMPTS: ")
    assert wrong.startswith("FITTRACK_JOB_TTL: ")


@pytest.mark.parametrize(
    "name",
    [
        "FITTRACK_SERVER",
        "FITTRACK_CLIENT_KEY",
        "FITTRACK_POLL_TOKEN",
        "FITTRACK_IMAGE",
        "FITTRACK_PULL_POLICY",
        "FITTRACK_HEARTBEAT_FILE",
        "FITTRACK_TEST_SERVERS",
    ],
)
def test_variables_of_the_client_compose_and_the_tests_are_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "anything")
    assert Settings.from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FITTRACK_JOB_TTL", "119"),
        ("FITTRACK_JOB_TTL", "86401"),
        ("FITTRACK_JOB_TTL", "soon"),
        ("FITTRACK_CHALLENGE_TTL", "29"),
        ("FITTRACK_CHALLENGE_TTL", "3601"),
        ("FITTRACK_SESSION_TTL", "59"),
        ("FITTRACK_MFA_ATTEMPTS", "0"),
        ("FITTRACK_MFA_ATTEMPTS", "11"),
        ("FITTRACK_LOG_LEVEL", "LOUD"),
        ("FITTRACK_LOG_LEVEL", ""),
        ("FITTRACK_LOG_FORMAT", "xml"),
        ("FITTRACK_GARMIN_DRIVERS", "garth,fenix"),
        ("FITTRACK_GARMIN_DRIVERS", "garth,garth"),
        ("FITTRACK_GARMIN_DRIVERS", "personal_api"),
        ("FITTRACK_GARMIN_DRIVERS", "garth,personal_api"),
        ("FITTRACK_GARMIN_DRIVERS", " , "),
        ("FITTRACK_GARMIN_DRIVERS", ""),
        ("FITTRACK_GARMIN_PROXY", "socks5://name:hidden@127.0.0.1:1080"),
        ("FITTRACK_GARMIN_PROXY", "http://name:hidden@127.0.0.1"),
        ("FITTRACK_GARMIN_PROXY", "http://name:hidden@127.0.0.1:port/"),
        ("FITTRACK_GARMIN_PROXY", "http://name:hid/hidden@127.0.0.1:3128"),
        ("FITTRACK_GARMIN_PROXY", "http://127.0.0.1:3128,hidden"),
        ("FITTRACK_REDIS_URL", "http://:hidden@127.0.0.1"),
        ("FITTRACK_REDIS_URL", "127.0.0.1:6379"),
        ("FITTRACK_REDIS_URL", ""),
        ("FITTRACK_REDIS_URL", "redis://:hidden@127.0.0.1:port/0"),
        ("FITTRACK_REDIS_URL", "redis://:hid#hidden@127.0.0.1:6379/0"),
        ("FITTRACK_REDIS_URL", "redis://:hidden@127.0.0.1/0?socket_timeout=soon"),
        ("FITTRACK_REDIS_PREFIX", ""),
        ("FITTRACK_REDIS_PREFIX", "fittrack:job"),
        ("FITTRACK_REDIS_PREFIX", "x" * 33),
        ("FITTRACK_REDIS_PREFIX", "hidden*"),
        ("FITTRACK_BROKER_URL", "amqp://guest:hidden@127.0.0.1"),
        ("FITTRACK_DATABASE_URL", "mysql://fit:hidden@127.0.0.1/fit"),
        ("FITTRACK_DATABASE_URL", "postgresql://fit:hidden@127.0.0.1/fit"),
        ("FITTRACK_DATABASE_URL", "hidden"),
        ("FITTRACK_DATABASE_URL", ""),
        ("FITTRACK_DATABASE_URL", "postgresql+psycopg://fit:hidden@127.0.0.1:port/fit"),
        ("FITTRACK_DATABASE_URL", "postgresql+psycopg://fit:x@host:hidden@127.0.0.1/fit"),
    ],
)
def test_an_invalid_value_is_named_but_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    message = error()
    assert message.startswith(f"{name}: ")
    assert ";" not in message
    assert "hidden" not in message
    assert "port/" not in message


def test_an_unknown_driver_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTRACK_GARMIN_DRIVERS", "garth,fenix")
    assert "garth, garminconnect" in error()


@pytest.mark.parametrize(
    "keys", ["", "a", "a:short", f"a:{base64.b64encode(b'k' * 16).decode()}", "a:\u00e9"]
)
def test_an_invalid_key_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("FITTRACK_ENCRYPTION_KEYS", keys)
    with pytest.raises(ConfigurationError) as caught:
        Keyring.parse(Settings.from_environment().encryption_keys.get_secret_value())
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith("FITTRACK_ENCRYPTION_KEYS")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_setting_can_come_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "secret"
    file.write_text(REQUIRED[name] + "\n")
    monkeypatch.delenv(name)
    monkeypatch.setenv(f"{name}_FILE", str(file))
    settings = Settings.from_environment()
    field = name.removeprefix("FITTRACK_").lower()
    assert getattr(settings, field).get_secret_value() == REQUIRED[name]


@pytest.mark.parametrize("text", ["garminconnect\n", " garminconnect "])
def test_a_list_and_a_number_can_come_from_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    for name, value in (("GARMIN_DRIVERS", text), ("JOB_TTL", "300\n")):
        (tmp_path / name).write_text(value)
        monkeypatch.setenv(f"FITTRACK_{name}_FILE", str(tmp_path / name))
    settings = Settings.from_environment()
    assert settings.garmin_drivers == ("garminconnect",)
    assert settings.job_ttl == 300


def test_a_setting_given_twice_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://other/0")
    monkeypatch.setenv("FITTRACK_REDIS_URL_FILE", str(tmp_path / "url"))
    assert error() == "FITTRACK_REDIS_URL and FITTRACK_REDIS_URL_FILE are both set: remove one"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa"])
def test_an_unreadable_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.delenv("FITTRACK_ENCRYPTION_KEYS")
    monkeypatch.setenv("FITTRACK_ENCRYPTION_KEYS_FILE", str(file))
    assert error() == f"FITTRACK_ENCRYPTION_KEYS_FILE: can't read {file}"


def test_settings_cannot_be_changed() -> None:
    settings = Settings.from_environment()
    with pytest.raises(ValidationError, match="frozen"):
        settings.job_ttl = 5  # type: ignore[misc]


def test_settings_do_not_show_their_secrets() -> None:
    settings = Settings.from_environment()
    for shown in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(settings.model_dump()),
    ):
        assert "db-password" not in shown
        assert KEY.partition(":")[2] not in shown


def test_migrations_need_only_the_database_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FITTRACK_REDIS_URL")
    monkeypatch.delenv("FITTRACK_ENCRYPTION_KEYS")
    settings = DatabaseSettings.from_environment()
    assert settings.database_url.get_secret_value() == REQUIRED["FITTRACK_DATABASE_URL"]


def test_a_sqlite_file_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTRACK_DATABASE_URL", "sqlite:////var/lib/fittrack.db")
    assert Settings.from_environment()
