"""`import` and `key`: tokens from wherever they are, and never from an argument."""

import json
from pathlib import Path

import pytest

from tests.client.cli.program import Program, Result
from tests.client.cli.pseudo_terminal import terminal
from tests.client.stand_in import (
    ACCESS_TOKEN,
    Answer,
    StandIn,
    accepted,
    failed,
    job,
    problem,
    succeeded,
)

IMPORT = "POST /api/garmin/import"
DI = '{"di_token": "a", "di_refresh_token": "r", "di_client_id": "c"}'
OAUTH1, OAUTH2 = '{"oauth_token": "o"}', '{"access_token": "a"}'
DUMP = "W3sib2F1dGhfdG9rZW4i" * 30


@pytest.fixture
def importing(service: StandIn) -> StandIn:
    """A service where imports succeed."""
    service.on(IMPORT, accepted("one"))
    service.on(job("one"), imported(exclusive=True))
    return service


def imported(*, exclusive: bool) -> Answer:
    answer = succeeded("one")
    assert isinstance(answer.data, dict)
    return Answer(200, {**answer.data, "kind": "import", "exclusive": exclusive})


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def sent(service: StandIn) -> object:
    [request] = service.seen(IMPORT)
    assert "idempotency-key" in request.headers
    return request.data


def test_a_file_is_imported_and_the_session_kept(program: Program, importing: StandIn) -> None:
    path = write(program.home / "garmin_tokens.json", DI)
    result = program.run("import", str(path))
    assert result.exit_code == 0, result.err
    assert sent(importing) == {"tokens": DI}
    assert f"Imported from {path}" in result.out.replace("\n", "")
    assert "moved" in result.out
    assert ACCESS_TOKEN in program.session_file.read_text(encoding="utf-8")


def test_programs_learn_whether_the_tokens_were_moved(program: Program, importing: StandIn) -> None:
    importing.on(job("one"), imported(exclusive=False))
    path = write(program.home / "tokens", DI)
    for exclusive in (True, False):
        result = program.run("import", str(path), "--json")
        assert result.objects[-1]["exclusive"] is exclusive
        assert ACCESS_TOKEN not in result.out


@pytest.mark.parametrize(
    ("files", "tokens"),
    [
        ({"garmin_tokens.json": DI}, DI),
        (
            {"oauth1_token.json": OAUTH1, "oauth2_token.json": OAUTH2},
            {"oauth1_token.json": OAUTH1, "oauth2_token.json": OAUTH2},
        ),
        ({"oauth2_token.json": OAUTH2}, {"oauth2_token.json": OAUTH2}),
        ({"garmin_tokens.json": DI, "oauth1_token.json": OAUTH1}, DI),
    ],
)
def test_a_folder_is_imported(
    program: Program, importing: StandIn, files: dict[str, str], tokens: object
) -> None:
    for name, text in files.items():
        write(program.home / "tokens" / name, text)
    assert program.run("import", str(program.home / "tokens")).exit_code == 0
    body = sent(importing)
    assert isinstance(body, dict)
    assert tokens in (body["tokens"], json.loads(body["tokens"]))


def test_one_file_of_garths_brings_the_other(program: Program, importing: StandIn) -> None:
    first = write(program.home / "tokens" / "oauth1_token.json", OAUTH1)
    write(program.home / "tokens" / "oauth2_token.json", OAUTH2)
    assert program.run("import", str(first)).exit_code == 0
    assert "oauth2_token.json" in str(sent(importing))


def test_a_file_that_is_named_is_the_one_imported(program: Program, importing: StandIn) -> None:
    named = write(program.home / "tokens" / "oauth2_token.json", OAUTH2)
    write(program.home / "tokens" / "garmin_tokens.json", DI)
    assert program.run("import", str(named)).exit_code == 0
    assert sent(importing) == {"tokens": json.dumps({"oauth2_token.json": OAUTH2})}


def test_standard_input_is_imported_as_a_whole(program: Program, importing: StandIn) -> None:
    assert program.run("import", "-", stdin=f"{{\n{DI[1:]}\n").exit_code == 0
    assert sent(importing) == {"tokens": f"{{\n{DI[1:]}\n"}


@pytest.mark.parametrize(
    ("environment", "files", "tokens"),
    [
        ({"GARTH_TOKEN": DUMP}, {".garminconnect/garmin_tokens.json": DI}, DUMP),
        ({"GARMINTOKENS": DUMP}, {}, DUMP),
        ({"GARMINTOKENS": DI}, {}, DI),
        ({"GARMINTOKENS": "~/there"}, {"there/garmin_tokens.json": DI, ".garth/x": ""}, DI),
        ({"GARMINTOKENS": "~/gone"}, {".garminconnect/garmin_tokens.json": DI}, DI),
        ({}, {".garminconnect/garmin_tokens.json": DI, ".garth/oauth1_token.json": OAUTH1}, DI),
        ({}, {".garth/oauth2_token.json": OAUTH2}, json.dumps({"oauth2_token.json": OAUTH2})),
    ],
)
def test_without_an_argument_the_places_of_the_libraries_are_searched(
    program: Program,
    importing: StandIn,
    environment: dict[str, str],
    files: dict[str, str],
    tokens: str,
) -> None:
    for name, text in files.items():
        write(program.home / name, text)
    assert program.run("import", **environment).exit_code == 0
    assert sent(importing) == {"tokens": tokens}


def test_where_there_are_none_nothing_is_sent(program: Program, importing: StandIn) -> None:
    result = program.run("import", "--json")
    assert (result.exit_code, result.error["code"]) == (2, "missing_input")
    assert "~/.garminconnect" in str(result.error["message"])
    assert importing.requests == []


@pytest.mark.parametrize("argument", ["canary-token", DUMP, '{"di_token": "canary-token"}'])
def test_tokens_in_an_argument_are_refused_and_not_repeated(
    program: Program, importing: StandIn, argument: str
) -> None:
    result = program.run("import", argument)
    assert result.exit_code == 2
    assert argument not in result.out + result.err
    assert "canary" not in result.out + result.err
    assert importing.requests == []


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 70_000, b"", b" \n"])
def test_a_file_that_holds_no_tokens_is_not_sent(
    program: Program, importing: StandIn, content: bytes
) -> None:
    path = program.home / "tokens"
    path.write_bytes(content)
    assert program.run("import", str(path)).exit_code == 2
    assert importing.requests == []


def test_empty_input_is_not_sent(program: Program, importing: StandIn) -> None:
    assert program.run("import", "-", "--json").error["code"] == "missing_input"
    assert importing.requests == []


def test_what_is_missing_in_the_tokens_is_said(program: Program, service: StandIn) -> None:
    service.on(IMPORT, accepted("one"))
    message = "This looks most like garth's tokens, but oauth_token is missing."
    service.on(job("one"), failed("one", "tokens_unreadable", message=message))
    result = program.run("import", "-", stdin=DI)
    assert result.exit_code == 1
    assert "oauth_token is missing" in unwrapped(result)


def test_a_service_for_known_apps_alone_asks_for_a_key(program: Program, service: StandIn) -> None:
    service.on(IMPORT, problem(401, "unauthorized"))
    result = program.run("import", "-", "--json", stdin=DI)
    assert result.error["code"] == "client_key_needed"


def test_the_key_of_an_app_goes_along(program: Program, importing: StandIn) -> None:
    program.run("import", "-", "--domain", "garmin.cn", stdin=DI, FITTRACK_CLIENT_KEY="app-key")
    assert importing.seen(IMPORT)[0].headers["x-client-key"] == "app-key"
    assert sent(importing) == {"tokens": DI, "domain": "garmin.cn"}


def test_a_personal_api_key_is_read_from_a_line(program: Program, importing: StandIn) -> None:
    result = program.run("key", stdin="canary-key\nmore\n")
    assert result.exit_code == 0
    assert sent(importing) == {"personal_api_key": "canary-key"}
    assert "canary" not in result.out + result.err


def test_at_a_terminal_tokens_are_pasted_hidden(program: Program, importing: StandIn) -> None:
    with terminal(program, "import", "-") as seen:
        seen.expect("Tokens (hidden): ")
        assert not seen.shows_what_is_typed
        seen.type(f"{DI}\n")
        assert seen.exit_code() == 0, seen.text
    assert sent(importing) == {"tokens": DI}
    assert "di_token" not in seen.raw


def test_a_line_that_the_terminal_cuts_off_is_not_sent(
    program: Program, importing: StandIn
) -> None:
    with terminal(program, "import", "-") as seen:
        seen.expect("Tokens (hidden): ")
        seen.type("x" * 5000 + "\n")
        assert seen.exit_code() == 2
    assert "use a file" in " ".join(seen.text.split())
    assert importing.requests == []


def unwrapped(result: Result) -> str:
    return " ".join((result.out + result.err).split())
