"""GET /openapi.json: valid, complete, and true."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_pydantic import OpenAPI
from starlette.applications import Starlette
from starlette.routing import Route

from api.contract.problems import ProblemCode
from api.http.problems import ANSWERS
from api.startup import build
from dev.stack import new_key
from shared.errors import FitTrackError, JobErrorCode, SignInError
from shared.jobs.states import Failure
from shared.timings import PRODUCTION
from tests.api.openapi_schema import OPENAPI_3_1
from tests.api.service import CODE, LOGIN, Service, bearer
from tests.logs import kept_logging

JSON_TYPES = ("application/json", "application/problem+json")


@pytest.fixture(scope="module")
def document(running_service: Service) -> dict[str, Any]:
    reply = running_service.client.get("/openapi.json")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    loaded: dict[str, Any] = reply.json()
    return loaded


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Starlette:
    """The application as it is built for uvicorn; it connects to nothing before it serves."""
    monkeypatch.setenv("FITTRACK_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("FITTRACK_DATABASE_URL", "sqlite:///:memory:")
    monkeypatch.setenv("FITTRACK_ENCRYPTION_KEYS", new_key())
    with kept_logging():
        return build(PRODUCTION)


def subclasses(of: type[FitTrackError]) -> set[type[FitTrackError]]:
    direct = set(of.__subclasses__())
    return direct.union(*(subclasses(error) for error in direct))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def media(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body that may be sent or received, with where it stands."""
    for path, method, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {})} | operation["responses"]
        for name, body in bodies.items():
            for media_type, content in body.get("content", {}).items():
                if media_type in JSON_TYPES:
                    yield f"{method} {path} {name}", content


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    with_components = schema | {"components": document["components"]}
    return Draft202012Validator(with_components, format_checker=Draft202012Validator.FORMAT_CHECKER)


def examples(document: dict[str, Any], content: dict[str, Any]) -> list[Any]:
    shown = [example["value"] for example in content.get("examples", {}).values()]
    schema = content["schema"]
    if "$ref" in schema and "properties" not in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        shown += document["components"]["schemas"][name].get("examples", [])
    return shown


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    errors = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(OPENAPI_3_1).iter_errors(document)
    ]
    assert errors == []
    OpenAPI.model_validate(document)


def test_every_operation_is_explained_under_a_tag(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    assert used == tags
    for _, _, operation in operations(document):
        assert operation["description"] != operation["summary"]


def test_every_error_response_has_an_example_of_each_of_its_codes(
    document: dict[str, Any],
) -> None:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status < "400":
                continue
            content = response["content"]["application/problem+json"]
            shown = [example["value"] for example in content["examples"].values()]
            codes = content["schema"]["properties"]["code"]["enum"]
            assert {example["code"] for example in shown} == set(codes), (path, method, status)
            assert {example["status"] for example in shown} == {int(status)}


def test_the_document_lists_every_error_code(document: dict[str, Any]) -> None:
    listed = set(document["components"]["schemas"]["ProblemCode"]["enum"])
    assert listed == {error.code for error in ANSWERS}
    assert listed == set(ProblemCode)


def test_every_error_with_a_code_has_a_status() -> None:
    own = {error for error in subclasses(FitTrackError) if not issubclass(error, SignInError)}
    assert {error for error in own if error.code != FitTrackError.code} == ANSWERS.keys() - {
        FitTrackError
    }


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    text = str(document)
    names = set(re.findall(r"'\$ref': '#/components/schemas/([^']+)'", text))
    assert names
    assert text.count("'$ref'") == len(re.findall(r"'\$ref': '#/components/schemas/", text))
    assert names == document["components"]["schemas"].keys()


def test_every_operation_id_is_unique(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        described = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert described == set(re.findall(r"{(\w+)}", path))


def test_every_security_scheme_is_described(document: dict[str, Any]) -> None:
    known = document["components"]["securitySchemes"].keys()
    used = {
        name
        for _, _, operation in operations(document)
        for requirement in operation.get("security", [])
        for name in requirement
    }
    assert used == known


def test_every_request_and_response_has_an_example(document: dict[str, Any]) -> None:
    bodies = list(media(document))
    assert len(bodies) > 20
    assert [where for where, content in bodies if not examples(document, content)] == []


def test_every_example_is_valid(document: dict[str, Any]) -> None:
    faults = [
        f"{where}: {error.message}"
        for where, content in media(document)
        for example in examples(document, content)
        for error in validator(document, content["schema"]).iter_errors(example)
    ]
    assert faults == []


def test_every_job_status_has_an_example(document: dict[str, Any]) -> None:
    content = document["paths"]["/api/jobs/{job_id}"]["get"]["responses"]["200"]["content"]
    shown = content["application/json"]["examples"].values()
    assert {example["value"]["status"] for example in shown} == {
        "running",
        "mfa_required",
        "succeeded",
        "failed",
    }


def test_the_examples_of_requests_are_accepted(service: Service, document: dict[str, Any]) -> None:
    for path, status in ((LOGIN, 202), (CODE, 404)):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        [example] = examples(document, content)
        assert service.client.post(path, json=example).status_code == status


def test_the_document_describes_exactly_the_routes(
    app: Starlette, document: dict[str, Any]
) -> None:
    routes = {
        (route.path_format, method)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert all(isinstance(route, Route) for route in app.routes)
    pages = ("/docs", "/openapi.json", "/index.css", "/connect")
    own = {(path, method) for path, method in routes if path.startswith(pages) or path == "/"}
    assert {(path, method) for path, method, _ in operations(document)} == routes - own


def test_the_documented_limits_are_the_real_ones(document: dict[str, Any]) -> None:
    properties = document["components"]["schemas"]["LoginRequest"]["properties"]
    limits = {
        name: (properties[name]["minLength"], properties[name]["maxLength"])
        for name in ("username", "password")
    }
    assert limits == {"username": (3, 254), "password": (1, 256)}
    [wait] = [
        parameter
        for parameter in document["paths"]["/api/jobs/{job_id}"]["get"]["parameters"]
        if parameter["name"] == "wait"
    ]
    assert (wait["schema"]["minimum"], wait["schema"]["maximum"]) == (0, 30)


def real_replies(service: Service) -> Iterator[tuple[str, str, httpx.Response]]:
    """Replies of every kind that can be had without breaking something."""
    client = service.client
    json_type = {"Content-Type": "application/json"}
    yield "post", LOGIN, client.post(LOGIN, json={"username": "abc", "password": "x"})
    yield "post", LOGIN, client.post(LOGIN, content="{", headers=json_type)
    yield "post", LOGIN, client.post(LOGIN, content=" " * 20_000, headers=json_type)
    yield "post", LOGIN, client.post(LOGIN, content="{}")
    yield "post", LOGIN, client.post(LOGIN, json={})
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    yield "post", CODE, service.send_code(challenge_id)
    yield "post", CODE, service.send_code(challenge_id)
    yield "post", CODE, service.send_code("unknown")
    yield "post", CODE, service.send_code(challenge_id, "1")
    poll = "/api/jobs/{job_id}"
    job = service.submit()
    yield "get", poll, service.poll(job)
    yield "get", poll, client.get(f"{job.path}?wait=x", headers=job.headers)
    yield "get", poll, client.get(job.path)
    yield "get", poll, client.get(job.path, headers=bearer("wrong"))
    service.jobs.end(service.claim(job), Failure(code=JobErrorCode.TIMED_OUT))
    yield "get", poll, service.poll(job)
    account = service.sign_in()
    session, sessions = "/api/session", "/api/sessions"
    yield "get", session, client.get(session, headers=account.headers)
    tokens, link = "/api/garmin/tokens", "/api/users/{user_id}/garmin"
    yield "delete", tokens, client.delete(tokens, headers=service.sign_in().headers)
    yield "delete", tokens, client.delete(tokens)
    yield "get", link, client.get("/api/users/somebody/garmin")
    yield "delete", link, client.delete("/api/users/somebody/garmin")
    app = service.app_with_link("member-1")
    for name in ("member-1", "nobody"):
        yield "get", link, client.get(f"/api/users/{name}/garmin", headers=app)
        yield "delete", link, client.delete(f"/api/users/{name}/garmin", headers=app)
    yield "delete", session, client.delete(session, headers=account.headers)
    yield "get", session, client.get(session, headers=account.headers)
    yield "delete", session, client.delete(session, headers=account.headers)
    yield "delete", sessions, client.delete(sessions, headers=service.sign_in().headers)
    yield "delete", sessions, client.delete(sessions)
    for path in ("/healthz", "/readyz", "/metrics"):
        yield "get", path, client.get(path)


def test_real_responses_match_the_document(service: Service, document: dict[str, Any]) -> None:
    replies = list(real_replies(service))
    assert {reply.status_code for _, _, reply in replies} == {
        *(200, 202, 204, 400, 401, 404, 409, 413, 415, 422),
    }
    for method, path, reply in replies:
        described = document["paths"][path][method]["responses"][str(reply.status_code)]
        promised = {name.lower() for name in described.get("headers", {})}
        if reply.status_code not in (200, 503):  # Retry-After, only while a job has not ended
            assert promised <= reply.headers.keys()
        if "content" not in described:
            assert reply.content == b""
            continue
        media_type = reply.headers["content-type"].partition(";")[0]
        content = described["content"][media_type]
        if media_type in JSON_TYPES:
            checked = validator(document, content["schema"])
            assert [error.message for error in checked.iter_errors(reply.json())] == []


def test_the_example_of_an_internal_error_is_named_by_its_code(document: dict[str, Any]) -> None:
    response = document["paths"]["/api/garmin/login"]["post"]["responses"]["500"]
    [content] = response["content"].values()
    assert list(content["examples"]) == ["internal_error"]
