import pytest

from fittrack_auth_client import FitTrackAuth, UsageError
from fittrack_auth_client.address import Server


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        (" https://Auth.Example.com:443 ", "https://auth.example.com"),
        ("https://example.com/auth/", "https://example.com/auth"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_one_address_has_one_spelling(written: str, address: str) -> None:
    assert Server.parse(written).url == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:8000",
        "localhost:8000",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:port",
        "http://someone@127.0.0.1:8000",
        "http://127.0.0.1:8000/?a=b",
        "http://127.0.0.1:8000/#a",
        "http://127.0.0.1\x1b",
        "http://127.0.0.1:99999",
        "http://127.0.0.1 :8000",
    ],
)
def test_an_unusable_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError) as error:
        Server.parse(address)

    assert error.value.code == "bad_server"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://[::1]:8000",
        "http://localhost:8000",
        "https://auth.example.com",
    ],
)
def test_secrets_may_go_to_this_machine_and_over_https(address: str) -> None:
    Server.parse(address).require_safe_for_secrets(insecure_http=False)


@pytest.mark.parametrize(
    "address",
    [
        "http://auth.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://192.0.2.1",
        "http://0.0.0.0:8000",
        "http://[2001:db8::1]",
    ],
)
def test_secrets_may_not_go_elsewhere_unless_allowed(address: str) -> None:
    with pytest.raises(UsageError) as error:
        FitTrackAuth(address)

    assert error.value.code == "insecure_server"
    FitTrackAuth(address, insecure_http=True).close()
