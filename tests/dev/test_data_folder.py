"""The folder of `make dev`: who can get at it."""

import os
from pathlib import Path

import pytest

from dev.data_folder import DataFolder
from dev.processes import NotReadyError


@pytest.mark.parametrize("mode", [None, 0o755, 0o777])
def test_nobody_else_can_read_it_whoever_made_it(tmp_path: Path, mode: int | None) -> None:
    folder = tmp_path / "data"
    if mode is not None:
        folder.mkdir()
        folder.chmod(mode)
    DataFolder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, what is written could be read, or led elsewhere by a link."""
    another = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: another)
    with pytest.raises(NotReadyError, match="belongs to another user"):
        DataFolder(tmp_path)
    assert list(tmp_path.iterdir()) == []
