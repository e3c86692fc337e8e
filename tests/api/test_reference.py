"""docs/api.md: complete, and true."""

import re
from collections import defaultdict

import pytest

from api.contract.openapi import document
from api.contract.operations import Operation
from api.http.problems import ANSWERS
from api.routes.table import OPERATIONS
from dev.processes import ROOT
from shared.errors import JobErrorCode
from shared.jobs.states import JobStage

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
DOCUMENT = document(OPERATIONS)
FIELDS = sorted(
    {
        field
        for schema in DOCUMENT["components"]["schemas"].values()
        for field in schema.get("properties", {})
    }
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.operation_id)
def test_the_page_lists_every_operation(operation: Operation) -> None:
    path = re.sub(r":\w+}", "}", operation.path)
    assert f"| [`{operation.method} {path}`](#" in PAGE


def test_the_page_lists_every_error_code_with_its_statuses() -> None:
    statuses: defaultdict[str, set[int]] = defaultdict(set)
    for error, answer in ANSWERS.items():
        statuses[error.code].add(answer.status)
    listed = {
        code: {int(status) for status in re.findall(r"\d+", column)}
        for code, column in re.findall(r"^\| `(\w+)` \| ([\d, ]+) \|", PAGE, re.MULTILINE)
    }
    assert listed == statuses


def test_the_page_lists_every_code_of_a_failed_job() -> None:
    table = PAGE.partition("A job that failed is a `200`")[2]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(JobErrorCode)


@pytest.mark.parametrize("name", [*FIELDS, *JobStage])
def test_the_page_names_every_field_and_stage(name: str) -> None:
    assert re.search(rf"[`\"]{name}[`\"]", PAGE)
