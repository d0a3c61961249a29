"""Writes a recording in another form: WAV, FLAC, Ogg or MP3. Blocks the calling thread."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from recmon.audio.decoder import Decoder
from recmon.audio.library import load_soundfile
from recmon.audio.stream import GrowingFile
from recmon.domain.recordings import SoundFormat
from recmon.errors import StoreError, UnsupportedAudio

BLOCK_FRAMES = 1 << 16


_FORMS = {
    SoundFormat.WAV: ("WAV", "PCM_16"),
    SoundFormat.FLAC: ("FLAC", "PCM_16"),
    SoundFormat.OGG: ("OGG", "VORBIS"),
    SoundFormat.MP3: ("MP3", "MPEG_LAYER_III"),
}


def write_sound(
    file: GrowingFile,
    target: Path,
    form: SoundFormat,
    *,
    stopped: threading.Event,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Decode a recording and write it anew; the target is replaced by the whole or left as it was.

    Args:
        file: complete.
        target: in an existing folder.
        form: what is written; 16 bits where it has no loss of its own.
        stopped: once set, the work is given up.
        progress: told the part that is done, from 0 to 1.

    Raises:
        UnsupportedAudio: the recording cannot be decoded, or not written in this form.
        StoreError: the target cannot be written.
    """
    soundfile = load_soundfile()
    container, subtype = _FORMS[form]
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    decoder = Decoder(file)
    try:
        info = decoder.open()
        try:
            with soundfile.SoundFile(
                part, "w", info.sample_rate, info.channels, subtype=subtype, format=container
            ) as writer:
                written = 0
                while len(block := decoder.read(BLOCK_FRAMES)):
                    if stopped.is_set():
                        return
                    writer.write(block)
                    written += len(block)
                    progress(min(1.0, written / info.frames) if info.frames else 0.0)
        except (soundfile.LibsndfileError, ValueError) as error:
            if not part.exists():
                raise StoreError(str(target), "the file cannot be made") from error
            raise UnsupportedAudio(
                f"{info.codec} with {info.sample_rate} samples per second cannot be saved as {form.name}"
            ) from error
        with part.open("rb+") as done:
            os.fsync(done.fileno())
        os.replace(part, target)
    except OSError as error:
        raise StoreError(str(target), error.strerror or str(error)) from error
    finally:
        decoder.close()
        part.unlink(missing_ok=True)
