"""A bug is told by its place, never by its text."""

from shared.logs.locations import where


def test_a_bug_is_told_without_its_text() -> None:
    def guilty(password: str) -> None:
        raise ValueError(password)

    try:
        guilty("plain-text-password")
    except ValueError as error:
        said = where(error)
    assert said.startswith("ValueError at ")
    assert f"{__file__}:" in said
    assert "guilty" in said
    assert "plain-text-password" not in said
