"""The library that decodes and encodes sound (libsndfile, by soundfile)."""

from __future__ import annotations

from types import ModuleType

from recmon.errors import UnsupportedAudio


def load_soundfile() -> ModuleType:
    """Return the library that reads and writes sound.

    Raises:
        UnsupportedAudio: it cannot be loaded.
    """
    try:
        # Imported with the first recording: takes too long for the start, and brings its own C library.
        import soundfile
    except (ImportError, OSError) as error:
        raise UnsupportedAudio("the library that decodes sound (libsndfile) cannot be loaded") from error
    module: ModuleType = soundfile
    return module
