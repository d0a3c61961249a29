"""Public sound files, whole and cut: each plays or is refused with a reason."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_figures import figure

from recmon.audio.decoder import Decoder
from recmon.audio.judging import examine
from recmon.audio.stream import GrowingFile
from recmon.domain.health import HealthVerdict, judge
from recmon.errors import RecmonError, UnsupportedAudio

DEADLINE_S = 10.0


@dataclass(slots=True)
class Played:
    """What came of playing a file."""

    frames: int = 0
    codec: str = ""
    refusal: str = ""
    told_s: float | None = None
    there_s: float | None = None

    @property
    def is_flagged(self) -> bool:
        """Whether it is told that sound is missing."""
        return self.told_s is not None and self.there_s is not None and self.there_s < self.told_s


def play(path: Path) -> Played:
    """Decode a file to its end in a thread; fail when that takes too long or another error comes."""
    result, faults = Played(), []

    def work() -> None:
        file = GrowingFile.whole(path)
        decoder = Decoder(file)
        try:
            result.told_s = decoder.open().length_s
            result.codec = decoder.info.codec
            result.there_s = decoder.length_s
            while len(block := decoder.read(8192)):
                result.frames += len(block)
        except RecmonError as error:
            result.refusal = str(error)
            if not isinstance(error, UnsupportedAudio):
                faults.append(error)
        except Exception as error:
            faults.append(error)
        finally:
            decoder.close()
            file.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), f"{path.name} hangs"
    assert not faults, f"{path.name}: {faults}"
    assert result.frames or result.refusal, f"{path.name}: neither sound nor a reason"
    assert "\n" not in result.refusal
    return result


def sound_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in (".wav", ".aif", ".aiff", ".aifc", ".au", ".raw")
    )


def test_every_file_plays_or_names_its_reason(corpora: Path) -> None:
    files = sound_files(corpora / "audio")
    played = {file: play(file) for file in files}
    refused = {file.name: result.refusal for file, result in played.items() if not result.frames}
    figure(0, "sound: files", len(files))
    figure(0, "sound: played", len(files) - len(refused))
    figure(0, "sound: refused with a reason", "; ".join(f"{name}: {why}" for name, why in refused.items()))
    assert len(files) >= 95
    assert len(refused) <= 30


def test_file_that_ends_early_is_flagged(corpora: Path) -> None:
    early = play(corpora / "audio/scipy/test-44100Hz-le-1ch-4bytes-early-eof.wav")
    assert early.frames
    assert early.is_flagged
    empty = play(corpora / "audio/scipy/test-44100Hz-le-1ch-4bytes-early-eof-no-data.wav")
    assert empty.refusal


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_cut_files_are_flagged(corpora: Path, tmp_path: Path, share: float) -> None:
    cut = flagged = 0
    silent = []
    for file in sound_files(corpora / "audio") + sound_files(corpora / "telephony"):
        whole = play(file)
        if not whole.frames or whole.is_flagged or file.suffix == ".raw":
            continue
        content = file.read_bytes()
        (tmp_path / "cut.wav").write_bytes(content[: int(len(content) * share)])
        result = play(tmp_path / "cut.wav")
        if result.frames >= whole.frames:
            continue  # what was cut off stood behind the sound
        cut += 1
        if result.refusal or result.is_flagged:
            flagged += 1
        else:
            silent.append(f"{file.name} ({result.codec})")
    figure(0, f"sound: cut at {share:.1%}", cut)
    figure(0, f"sound: flagged at {share:.1%}", flagged)
    figure(0, f"sound: played to the cut, without a flag, at {share:.1%}", "; ".join(silent))
    assert cut > 60
    assert silent == []


def test_speech_of_telephones_plays(corpora: Path) -> None:
    files = [file for file in sound_files(corpora / "telephony") if file.suffix == ".wav"]
    played = [play(file) for file in files]
    figure(0, "sound: telephone speech played", f"{sum(bool(one.frames) for one in played)} of {len(files)}")
    assert all(one.frames and not one.refusal for one in played)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_every_file_can_be_judged(corpora: Path, tmp_path: Path, share: float) -> None:
    files = [file for name in ("audio", "telephony") for file in sound_files(corpora / name)]
    verdicts: Counter[HealthVerdict] = Counter()
    for path in files:
        content = path.read_bytes()
        copy = tmp_path / "copy"
        copy.write_bytes(content[: round(len(content) * share)])
        file = GrowingFile.whole(copy)
        file.close()
        facts = examine(file)
        assert facts is not None, path.name
        verdicts[judge(facts).worst] += 1
    told = ", ".join(f"{verdict.value} {count}" for verdict, count in verdicts.most_common())
    figure(0, f"sound: judged at {share:.0%}", f"{len(files)}: {told}")
    assert len(files) >= 140
    if share < 1:
        # One file is so short that half of it is less than what counts as missing.
        assert verdicts[HealthVerdict.GOOD] <= 1
