import pytest

from cli.address import parse_server, safe_for_secrets
from cli.codes import Code
from cli.trouble import Trouble


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
    assert parse_server(written).url == address


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
    ],
)
def test_an_unusable_address_is_refused(address: str) -> None:
    with pytest.raises(Trouble) as trouble:
        parse_server(address)

    assert trouble.value.code == Code.BAD_SERVER


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
    assert safe_for_secrets(parse_server(address), insecure_http=False)


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
def test_secrets_may_not_go_elsewhere_unless_wanted(address: str) -> None:
    server = parse_server(address)

    with pytest.raises(Trouble) as trouble:
        safe_for_secrets(server, insecure_http=False)

    assert trouble.value.code == Code.INSECURE_SERVER
    assert safe_for_secrets(server, insecure_http=True) == server
