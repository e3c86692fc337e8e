"""The pages name tests, settings and each other: what they name is there."""

import ast
import re
from collections.abc import Collection

import pytest

from dev.processes import ROOT
from dev.simulator.counters import NAMES as COUNTERS
from dev.simulator.issued import KINDS as ISSUED
from dev.simulator.settings import Settings as SimulatorSettings
from dev.simulator.words import WORDS
from shared.settings import PREFIX, Settings

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}

CITATIONS = sorted(
    {c for text in TEXTS.values() for c in re.findall(r"\btests/[\w/]+\.py(?:::\w+)?", text)}
)
LINKS = sorted(
    {
        (name, target)
        for name, text in TEXTS.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", _FENCED.sub("", text))
        if "://" not in target
    }
)
OPERATIONS = TEXTS["docs/operations.md"]
DEFAULTS = dict(re.findall(rf"^\| `({PREFIX}\w+)` \| (.*?) \|", OPERATIONS, re.MULTILINE))


@pytest.mark.parametrize("citation", CITATIONS)
def test_a_test_that_a_page_cites_exists(citation: str) -> None:
    path, _, name = citation.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert not name or name in {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_the_security_page_cites_tests() -> None:
    assert TEXTS["docs/security.md"].count(".py::test_") > 50


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = ((ROOT / page).parent / path).resolve() if path else ROOT / page
    assert found.exists()
    if anchor:
        assert anchor in _anchors(found.read_text(encoding="utf-8"))


def test_one_sign_in_is_followed_through_eight_files_at_most() -> None:
    section = TEXTS["docs/architecture.md"].partition("### Follow one sign-in\n")[2]
    steps = re.findall(r"^\d\. `([\w/]+\.py)`: `([\w.]+)`", section, re.MULTILINE)
    assert 1 < len(steps) <= 8
    assert len({path for path, _ in steps}) == len(steps)
    for path, name in steps:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        for part in name.split("."):
            tree = next(node for node in ast.walk(tree) if getattr(node, "name", None) == part)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_operations_page_has_every_setting_and_its_true_default(field: str) -> None:
    told = DEFAULTS[f"{PREFIX}{field.upper()}"].strip("`")
    default = Settings.model_fields[field].default
    if isinstance(default, bool):
        assert told == str(default).lower()
    elif isinstance(default, int | str):
        assert told == str(default)


@pytest.mark.parametrize("word", WORDS)
def test_the_simulators_page_explains_every_word_of_a_username(word: str) -> None:
    accounts = TEXTS["docs/simulator.md"].partition("## Accounts\n")[2].partition("\n## Data\n")[0]
    first_cells = re.findall(r"^\| (.*?) \|", accounts, re.MULTILINE)
    assert any(f"`{word}`" in cell for cell in first_cells)


@pytest.mark.parametrize(
    ("title", "names"),
    [("Counters", COUNTERS), ("Issued", ISSUED), ("Settings", SimulatorSettings.model_fields)],
)
def test_the_simulators_page_has_every_counter_and_setting(
    title: str, names: Collection[str]
) -> None:
    section = TEXTS["docs/simulator.md"].partition(f"### {title}\n")[2].partition("\n##")[0]
    assert {name for name in names if f"`{name}`" not in section} == set()


def _anchors(text: str) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
