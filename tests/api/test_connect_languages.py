"""The languages of the connect page."""

import re

import pytest
from babel.messages.catalog import Message

from api.connect.languages import DOMAIN, FOLDER, LANGUAGES, accepted, choose
from dev.messages import TRANSLATED, rendered, texts, translated
from shared.errors import JobErrorCode
from shared.jobs.states import JobStage
from tests.api.service import Service


@pytest.mark.parametrize("name", TRANSLATED)
def test_no_language_lacks_a_text_or_a_name_within_one(name: str) -> None:
    catalogue = translated(name)
    for text in texts():
        message = catalogue.get(text)
        assert isinstance(message, Message)
        assert isinstance(message.string, str)
        assert message.string, f"{name} lacks {text!r}"
        names = [sorted(re.findall(r"%\(\w+\)s", part)) for part in (text, message.string)]
        assert names[0] == names[1], text


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_catalogues_are_those_of_the_template(name: str) -> None:
    """If not: `make messages`."""
    for ending, content in rendered(translated(name)).items():
        assert (FOLDER / name / "LC_MESSAGES" / f"{DOMAIN}{ending}").read_bytes() == content


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ([], "en"),
        (["de-AT"], "de"),
        (["it", "fr-CA"], "fr"),
        (["zh-CN"], "zh-Hans"),
        (["zh_Hans"], "zh-Hans"),
        (["xx"], "en"),
    ],
)
def test_the_first_language_that_there_is_is_chosen(wanted: list[str], language: str) -> None:
    assert choose(*wanted) == language


def test_the_browsers_wish_is_read() -> None:
    header = "fr;q=0.5, de-AT, en;q=0.8, ja;q=0, es;q=x, ;;, *;q=0.1"
    assert accepted(header) == ["de-AT", "en", "fr", "*"]
    assert accepted("") == []


def test_the_page_is_shown_in_each_language(service: Service) -> None:
    for language in LANGUAGES:
        page = service.client.get("/connect", headers={"Accept-Language": language})
        assert f'<html lang="{language}">' in page.text
        assert page.headers["content-language"] == language
        chosen = service.client.get(f"/connect?lang={language}", headers={"Accept-Language": "it"})
        assert chosen.text == page.text


def test_every_error_and_every_stage_has_a_text(service: Service) -> None:
    page = service.client.get("/connect").text
    shown = set(re.findall(r'data-error="(\w+)"', page))
    assert shown >= set(JobErrorCode)
    assert set(re.findall(r'data-stage="(\w+)"', page)) == set(JobStage)
