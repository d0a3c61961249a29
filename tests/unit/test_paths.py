from __future__ import annotations

import stat
from pathlib import Path

import pytest

from recmon.errors import StoreError
from recmon.paths import RESOURCES, DataDir, default_data_dir, default_settings_file


def test_resources_are_beside_the_package() -> None:
    assert RESOURCES.name == "resources"
    assert (RESOURCES.parent / "recmon" / "paths.py").is_file()


def test_default_places_are_absolute_and_name_the_program() -> None:
    assert default_settings_file().is_absolute()
    assert "recmon" in default_settings_file().parts
    assert default_settings_file().name == "settings.toml"
    assert default_data_dir().name == "recmon"


def test_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path / "some" / "where")
    for folder in (data_dir.root, data_dir.recordings, data_dir.logs):
        assert folder.is_dir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert data_dir.database.parent == data_dir.root
    assert data_dir.lock.parent == data_dir.root


def test_existing_folder_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    DataDir(tmp_path)
    DataDir(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made") as caught:
        DataDir(tmp_path / "file" / "data")
    assert caught.value.path == str(tmp_path / "file" / "data")
