"""A sound card for tests: a PulseAudio server of our own with a null sink, which ALSA's default leads to.

PortAudio reads its devices when it is loaded, so programs under test are processes started with
`SoundSink.environment`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

RATE = 48_000
CHANNELS = 2
START_DEADLINE_S = 15.0

_SINK, _OTHER_SINK = "recmon_test", "recmon_other"
_ALSA = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


class SoundSink:
    """Runs the server while entered. What is played is recorded with `Recording`."""

    def __init__(self) -> None:
        # A short path: the names of sockets are limited to about a hundred characters.
        self._folder = Path(tempfile.mkdtemp(prefix="snd"))
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SoundSink:
        (self._folder / "pulse").mkdir(mode=0o700)
        (self._folder / "asound.conf").write_text(_ALSA)
        socket = f"module-native-protocol-unix socket={self._folder}/pulse/native auth-anonymous=1"
        self._server = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L", socket],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: self._control("info") == 0, START_DEADLINE_S, "the sound server does not answer")
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(START_DEADLINE_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """For the processes that play."""
        return _environment(self._folder)

    @staticmethod
    def unreachable(folder: Path) -> dict[str, str]:
        """Return an environment whose only sound device leads to a server that is not there."""
        (folder / "asound.conf").write_text(_ALSA)
        return _environment(folder)

    def plug(self) -> None:
        """Make the sink be there."""
        self._load(_SINK)

    def unplug(self) -> None:
        """Take the sink away, as with headphones."""
        assert self._control("unload-module", "module-null-sink") == 0

    def plug_other(self) -> None:
        """Make a second sink be there, which sound goes to by default from now on."""
        self._load(_OTHER_SINK)
        assert self._control("set-default-sink", _OTHER_SINK) == 0

    def watch_other(self) -> Monitor:
        """Note when sound begins at the second sink, see `watch`."""
        return self._monitor(_OTHER_SINK)

    def record(self, path: Path) -> Recording:
        """Record what is played, as a WAV file, from now until the recording is left."""
        form = ["--format=s16le", f"--rate={RATE}", f"--channels={CHANNELS}", "--file-format=wav"]
        command = ["parec", f"--device={_SINK}.monitor", "--latency-msec=20", *form, str(path)]
        return Recording(command, self.environment, path)

    def watch(self) -> Monitor:
        """Note when sound begins at the sink, as exactly as its server tells, while it is entered."""
        return self._monitor(_SINK)

    def _monitor(self, name: str) -> Monitor:
        form = ["--format=s16le", f"--rate={RATE}", f"--channels={CHANNELS}", "--raw"]
        command = ["parec", f"--device={name}.monitor", "--latency-msec=5", *form]
        return Monitor(command, self.environment)

    def _load(self, name: str) -> None:
        options = [f"sink_name={name}", f"rate={RATE}", f"channels={CHANNELS}"]
        assert self._control("load-module", "module-null-sink", *options) == 0

    def _control(self, *command: str) -> int:
        return subprocess.run(
            ["pactl", *command],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=START_DEADLINE_S,
            check=False,
        ).returncode


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_RUNTIME_PATH": str(folder / "pulse"),
        "PULSE_SERVER": f"unix:{folder}/pulse/native",
        "PULSE_STATE_PATH": str(folder),
        "PULSE_COOKIE": str(folder / "cookie"),
        "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
    }


class Recording:
    """Records while entered."""

    def __init__(self, command: list[str], environment: dict[str, str], path: Path) -> None:
        self._command = command
        self._environment = environment
        self._path = path
        self._recorder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Path:
        self._recorder = subprocess.Popen(self._command, env=self._environment)
        wait_until(lambda: self.recorded_s > 0.05, START_DEADLINE_S, "nothing is recorded")
        return self._path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recorder is not None:
            self.wait_for(0.3)
            self._recorder.terminate()
            self._recorder.wait(START_DEADLINE_S)

    def wait_for(self, seconds: float) -> None:
        """Wait until this much more was recorded."""
        until_s = self.recorded_s + seconds
        wait_until(lambda: self.recorded_s >= until_s, START_DEADLINE_S + seconds, "the recording stopped")

    @property
    def recorded_s(self) -> float:
        """Seconds that are in the file by now."""
        size = self._path.stat().st_size if self._path.exists() else 0
        return size / (RATE * CHANNELS * 2)


class Monitor:
    """Hears the sink while entered, a few milliseconds behind it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._heard: list[tuple[float, bytes]] = []
        self._recorder: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Monitor:
        self._recorder = subprocess.Popen(self._command, env=self._environment, stdout=subprocess.PIPE)
        self._thread.start()
        wait_until(lambda: bool(self._heard), START_DEADLINE_S, "nothing is heard")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recorder is not None:
            self._recorder.terminate()
            self._recorder.communicate()
            self._thread.join(START_DEADLINE_S)

    def sound_after(self, at_s: float, loudness: float, deadline_s: float = START_DEADLINE_S) -> float:
        """Wait for the first sample louder than this, of 1, after a time; return when it came, monotonic."""
        give_up_at = time.monotonic() + deadline_s
        looked_at = 0
        while True:
            while looked_at < len(self._heard):
                came_at, data = self._heard[looked_at]
                looked_at += 1
                if came_at >= at_s and _loudest(data) > loudness:
                    return came_at
            assert time.monotonic() < give_up_at, "no sound came"
            time.sleep(0.002)

    def silence_after(self, at_s: float, loudness: float, within_s: float) -> float:
        """Return when the last sample louder than this came that came within a time after another one.

        Args:
            at_s: monotonic.
            loudness: of 1.
            within_s: later than this after `at_s`, nothing counts.
        """
        wait_until(lambda: self._heard[-1][0] >= at_s + within_s, START_DEADLINE_S, "nothing is heard")
        loud = [
            came
            for came, data in list(self._heard)
            if at_s <= came <= at_s + within_s and _loudest(data) > loudness
        ]
        return loud[-1] if loud else at_s

    def _listen(self) -> None:
        assert self._recorder is not None
        assert self._recorder.stdout is not None
        while data := os.read(self._recorder.stdout.fileno(), 1 << 16):
            self._heard.append((time.monotonic(), data))


def _loudest(data: bytes) -> float:
    samples = array("h", data[: len(data) // 2 * 2])
    return max(max(samples), -min(samples)) / 32768 if samples else 0.0


def wait_until(is_true: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Wait for something outside the process, looking every few milliseconds."""
    give_up_at = time.monotonic() + deadline_s
    while not is_true():
        assert time.monotonic() < give_up_at, what
        time.sleep(0.01)
