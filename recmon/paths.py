"""Where things are: what the program ships, and the user's own folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recmon.errors import StoreError

APPLICATION = "recmon"

RESOURCES = Path(__file__).resolve().parent.parent / "resources"
"""Icons, styles and demo conversations; beside the package in a checkout and in a frozen bundle alike."""

_PRIVATE_FOLDER = 0o700


def default_settings_file() -> Path:
    """Return the settings file of this platform's configuration folder; it need not exist."""
    from platformdirs import (
        user_config_path,
    )  # here: no command that names its files needs it (start-up time)

    return user_config_path(APPLICATION, appauthor=False, roaming=True) / "settings.toml"


def default_data_dir() -> Path:
    """Return this platform's data folder of the program; it need not exist."""
    from platformdirs import user_data_path  # here: no command that names its folder needs it (start-up time)

    return user_data_path(APPLICATION, appauthor=False)


@dataclass(frozen=True, slots=True)
class DataDir:
    """The folder of everything the program keeps, made with its subfolders, which their owner alone can read.

    Folders that exist keep their permissions: a user may have chosen to share them.

    Attributes:
        root: the folder itself.

    Raises:
        StoreError: a folder cannot be made.
    """

    root: Path

    def __post_init__(self) -> None:
        for folder in (self.root, self.recordings, self.logs):
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
                if not folder.is_dir():
                    folder.mkdir(_PRIVATE_FOLDER)
            except OSError as error:
                detail = f"the folder cannot be made: {error.strerror or error}"
                raise StoreError(str(folder), detail) from error

    @property
    def database(self) -> Path:
        """The history."""
        return self.root / "history.sqlite3"

    @property
    def recordings(self) -> Path:
        """The folder of downloaded recordings."""
        return self.root / "recordings"

    @property
    def logs(self) -> Path:
        """The folder of log files."""
        return self.root / "logs"

    @property
    def window_state(self) -> Path:
        """The file of the window's size, columns and the like; it may be lost."""
        return self.root / "window.ini"

    @property
    def lock(self) -> Path:
        """The file that a running instance holds, so that there is only one."""
        return self.root / "recmon.lock"
