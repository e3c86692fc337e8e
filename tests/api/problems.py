"""What every error reply must be."""

from http import HTTPStatus
from typing import Any

import httpx


def assert_problem(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """An RFC 9457 problem with our code. Returns its members."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = reply.json()
    assert problem["type"] == "about:blank"
    assert problem["title"] == HTTPStatus(status).phrase
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["detail"]
    assert problem.keys() <= {
        "type",
        "title",
        "status",
        "detail",
        "code",
        "errors",
        "unavailable",
        "reason",
        "since",
    }
    return problem


def faults(reply: httpx.Response) -> list[list[str]]:
    """Where a 422 says that something is wrong."""
    problem = assert_problem(reply, 422, "invalid_request")
    assert all(fault["message"] for fault in problem["errors"])
    return [fault["loc"] for fault in problem["errors"]]


def without_date(reply: httpx.Response) -> dict[str, str]:
    """The headers, but for what is new in every reply."""
    new = ("date", "x-request-id")
    return {name: value for name, value in reply.headers.items() if name not in new}
