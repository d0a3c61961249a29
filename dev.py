#!/usr/bin/env python3
"""Sets everything up and runs it: demo, test, check, bench, build, run.

Needs Python 3.11 or newer and this checkout, nothing else. Uses the standard library alone; works on Linux,
Windows and macOS; safe to run twice.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CONSTRAINTS = ROOT / "constraints.txt"

# Shared library -> Debian package. PortAudio plays; the rest is what Qt's window system plug-ins load.
LIBRARIES = {
    "libportaudio.so.2": "libportaudio2",
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
}
# Program -> Debian package; the tests play into a virtual sound sink, record what arrives there, and press
# media keys on a bus of their own.
TEST_PROGRAMS = {
    "dbus-daemon": "dbus-daemon",
    "pulseaudio": "pulseaudio",
    "pactl": "pulseaudio-utils",
    "parec": "pulseaudio-utils",
}
TEST_PACKAGES_BY_FILE = {"alsa-lib/libasound_module_pcm_pulse.so": "libasound2-plugins"}
FONT_PACKAGE = "fonts-dejavu-core"


class Stop(Exception):
    """Ends the program with an exit code, after its text was told."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code


def tell(text: str) -> None:
    """Say something to the person at the keyboard; standard output stays free for the program's own lines."""
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


def call(command: Sequence[str | Path], **options: Any) -> int:
    """Run a command in the checkout and return its exit code."""
    return subprocess.call([str(part) for part in command], cwd=ROOT, **options)


# System libraries


def missing_packages(*, for_tests: bool) -> list[str]:
    """Return the Debian packages that are missing on this Linux machine, empty elsewhere."""
    if not sys.platform.startswith("linux"):
        return []
    missing = [package for library, package in LIBRARIES.items() if not _loads(library)]
    if for_tests:
        missing += [package for program, package in TEST_PROGRAMS.items() if not shutil.which(program)]
        for name, package in TEST_PACKAGES_BY_FILE.items():
            if not any(Path("/usr/lib").glob(f"*/{name}")) and not Path("/usr/lib", name).exists():
                missing.append(package)
    if not any(
        Path(folder).is_dir() and any(Path(folder).rglob("*.ttf")) for folder in ("/usr/share/fonts",)
    ):
        missing.append(FONT_PACKAGE)
    return sorted(set(missing))


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install_packages(*, for_tests: bool) -> None:
    """Install missing system packages where we may, else print the exact line to run and stop with 2."""
    missing = missing_packages(for_tests=for_tests)
    if not missing:
        return
    if not shutil.which("apt-get"):
        tell("these system libraries seem to be missing, by their Debian names: " + " ".join(missing))
        return
    options = ["-y", "-qq", "--no-install-recommends"]
    if os.geteuid() == 0:
        prefix: list[str] = []
    elif shutil.which("sudo") and call(["sudo", "-n", "true"], stderr=subprocess.DEVNULL) == 0:
        prefix = ["sudo", "-n"]
    else:
        raise Stop(
            2, "system libraries are missing. Run this, then try again:\n"
            f"  sudo apt-get install --no-install-recommends {' '.join(missing)}"
        )  # fmt: skip
    tell("installing " + " ".join(missing))
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    if prefix:
        prefix += ["env", "DEBIAN_FRONTEND=noninteractive"]
    call([*prefix, "apt-get", "update", "-qq"], env=environment, stdout=sys.stderr)
    if call([*prefix, "apt-get", "install", *options, *missing], env=environment, stdout=sys.stderr) != 0:
        raise Stop(2, "apt-get could not install: " + " ".join(missing))


# The virtual environment


def prepare(*, for_development: bool) -> None:
    """Make `.venv` and install the pinned dependencies, unless that was done for these very pins."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells users of an older Python
        raise Stop(2, f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    install_packages(for_tests=for_development)
    extra = "[dev]" if for_development else ""
    wanted = hashlib.sha256(
        CONSTRAINTS.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + sys.version.encode()
    ).hexdigest()
    stamps = [VENV / "recmon-dev.stamp"]
    if not for_development:
        stamps.append(VENV / "recmon.stamp")
    if PYTHON.exists() and any(stamp.exists() and stamp.read_text() == wanted for stamp in stamps):
        return
    if not PYTHON.exists():
        tell("making .venv")
        if call([sys.executable, "-m", "venv", VENV], stdout=sys.stderr) != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            raise Stop(
                2, "no virtual environment could be made; on Debian: sudo apt-get install python3-venv"
            )
    tell("installing the dependencies (once)")
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", CONSTRAINTS]
    if call([*install, "-e", f".{extra}"], stdout=sys.stderr) != 0:
        raise Stop(2, "the dependencies could not be installed; what pip said stands above")
    (stamps[0] if for_development else stamps[-1]).write_text(wanted)


# Commands


def has_screen() -> bool:
    """Whether a window can be shown."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("QT_QPA_PLATFORM")
    )


def demo(arguments: list[str]) -> int:
    """Open the program on simulated recording servers."""
    prepare(for_development=False)
    if not has_screen() and "--headless" not in arguments:
        tell("there is no screen; running the demo without a window (Ctrl+C ends it)")
        arguments = ["--headless", *arguments]
    return call([PYTHON, "-m", "recmon", "demo", *arguments])


def test(arguments: list[str]) -> int:
    """Run the whole test suite."""
    prepare(for_development=True)
    return call([PYTHON, "-m", "pytest", *arguments], env=dict(os.environ, QT_QPA_PLATFORM="offscreen"))


def check(arguments: list[str]) -> int:
    """Check format, lint, types and import rules; with --fix mend what can be mended."""
    prepare(for_development=True)
    fix = "--fix" in arguments
    steps: list[list[str | Path]] = [
        [PYTHON, "-m", "ruff", "format", "--quiet", *([] if fix else ["--check"]), "."],
        [PYTHON, "-m", "ruff", "check", "--quiet", *(["--fix"] if fix else []), "."],
        [PYTHON, "-m", "mypy", "--no-error-summary"],
        [PYTHON.with_name("lint-imports" + PYTHON.suffix), "--no-cache"],
    ]
    failed = []
    for step in steps:
        result = subprocess.run(
            [str(part) for part in step], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            failed.append(" ".join(str(part) for part in step[1:4]) if step[1] == "-m" else "import rules")
            print(result.stdout + result.stderr, flush=True)
    tell(
        "these failed: " + ", ".join(failed)
        if failed
        else "format, lint, types and import rules are in order"
    )
    return 1 if failed else 0


def bench(arguments: list[str]) -> int:
    """Measure; see docs/performance.md."""
    prepare(for_development=True)
    return call([PYTHON, "-m", "tests.bench", *arguments])


def build(arguments: list[str]) -> int:
    """Build the bundle dist/recmon."""
    prepare(for_development=True)
    return call([PYTHON, "-m", "PyInstaller", "--noconfirm", "--clean", *arguments, "recmon.spec"])


def run(arguments: list[str]) -> int:
    """Run recmon with the given arguments."""
    prepare(for_development=False)
    return call([PYTHON, "-m", "recmon", *(arguments[1:] if arguments[:1] == ["--"] else arguments)])


COMMANDS = {"demo": demo, "test": test, "check": check, "bench": bench, "build": build, "run": run}


def main() -> int:
    """Run the command named on the command line."""
    listing = "\n".join(f"  {name:6} {function.__doc__}" for name, function in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__.splitlines()[0], epilog=f"commands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="handed to the command")
    options = parser.parse_args()
    try:
        return COMMANDS[options.command](options.arguments)
    except Stop as stop:
        tell(str(stop))
        return stop.code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
