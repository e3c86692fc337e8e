"""`make messages`: bring the connect page's catalogues up to date with its template.

A text that is new there is left untranslated, and a test says so.
"""

import io
from datetime import UTC, datetime

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from api.connect.languages import DOMAIN, FOLDER, LANGUAGES

TRANSLATED = tuple(language.replace("-", "_") for language in LANGUAGES[1:])
_SOURCES = FOLDER.parent / "templates"
_NO_DATE = datetime(2026, 1, 1, tzinfo=UTC)
_WIDTH = 100


def texts() -> list[str]:
    """Return the texts of the template, sorted."""
    options = {"**.html": {"trim_blocks": "true"}}
    found = extract_from_dir(_SOURCES, [("**.html", "jinja2")], options)
    return sorted({str(message) for _, _, message, _, _ in found})


def translated(name: str) -> Catalog:
    """Return the catalogue of a language with all texts of the template, and no others."""
    path = FOLDER / name / "LC_MESSAGES" / f"{DOMAIN}.po"
    known = read_po(io.BytesIO(path.read_bytes()), locale=name) if path.exists() else Catalog(name)
    catalogue = Catalog(
        name, project="fittrack-auth", creation_date=_NO_DATE, revision_date=_NO_DATE
    )
    for text in texts():
        message = known.get(text)
        catalogue.add(text, message.string if isinstance(message, Message) else "")
    return catalogue


def rendered(catalogue: Catalog) -> dict[str, bytes]:
    """Return the files of a catalogue, by the ends of their names."""
    po, mo = io.BytesIO(), io.BytesIO()
    write_po(po, catalogue, width=_WIDTH, omit_header=True, sort_output=True)
    write_mo(mo, catalogue)
    return {".po": po.getvalue(), ".mo": mo.getvalue()}


def main() -> None:
    for name in TRANSLATED:
        folder = FOLDER / name / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        for ending, content in rendered(translated(name)).items():
            (folder / f"{DOMAIN}{ending}").write_bytes(content)


if __name__ == "__main__":
    main()
