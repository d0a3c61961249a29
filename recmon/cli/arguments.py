"""The words of the command line. Common options may stand before or after the command."""

from __future__ import annotations

import argparse
from pathlib import Path
from zoneinfo import ZoneInfo

from recmon import __version__
from recmon.domain.mixing import FASTEST, SLOWEST

LOG_LEVELS = ("debug", "info", "warning", "error")
VERBA_SERVERS = 12
"""Most simulated recording servers that `demo` and `simulate` start."""


_FURTHER_PLACES = (
    ("--original-path", "P", "the original path of an agent's recording"),
    ("--file-name", "P", "the file name in the server's index"),
    ("--ivr", "P", "a voice message; ?locationId=N may follow"),
    ("--oiap", "P", "a recording of the voice bot; ?locationId=N may follow"),
    ("--play", "P", "an original path, fetched as for play-back"),
    ("--obs", "PLACE", "in object storage: CALL-ID@BEGIN/END, and #N where there are several"),
    ("--cms-call-id", "ID", "the call id of an inspected recording, from CC-CMS"),
)
"""Further kinds of places (docs/settings.md), one option each."""


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line; wrong usage ends the process with 2, as argparse does."""
    common = _common(default=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(
        prog="recmon",
        description="Watch recorded calls live, search past ones, and play their recordings. "
        "Without a command the window opens.",
        parents=[_common(default=None)],
    )
    parser.add_argument("--version", action="version", version=f"recmon {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    demo = commands.add_parser(
        "demo", parents=[common], help="open the program on simulated servers, in a throw-away data folder"
    )
    demo.add_argument("--headless", action="store_true", help="no window: print what `watch` prints")
    demo.add_argument("--json", action="store_true", help="with --headless: one JSON object per line")
    _add_duration(demo)
    _add_scenario(demo)

    simulate = commands.add_parser(
        "simulate",
        parents=[common],
        help="run only the simulated servers",
        description="Runs simulated recording servers on loopback until interrupted. They embody assumptions "
        "about the vendors' systems and prove no interoperability. The first line of output is one JSON "
        "object with every endpoint, credential and a ready settings text.",
    )
    simulate.add_argument(
        "--port-base", type=_port, default=0, metavar="N", help="first port; 0: any free ones"
    )
    simulate.add_argument("--scenario", type=Path, metavar="FILE", help="a scenario as JSON")
    _add_scenario(simulate)

    watch = commands.add_parser(
        "watch", parents=[common], help="connect to every configured server and print what happens"
    )
    watch.add_argument("--json", action="store_true", help="one JSON object per line")
    _add_duration(watch)

    check = commands.add_parser(
        "check",
        parents=[common],
        help="test servers step by step",
        description="Tests each server step by step: name, TCP, TLS, first answer, login. Says what to do "
        "about a failure. Sends each request once; a CC-FS server gets one signed request.",
    )
    check.add_argument("servers", nargs="*", metavar="SERVER", help="names in the settings (all)")
    check.add_argument("--json", action="store_true", help="one JSON object per step")
    check.add_argument(
        "--path",
        metavar="P",
        help="ask CC-FS or Aculab for this recording instead of one that should not exist",
    )

    search = commands.add_parser("search", parents=[common], help="list past calls, newest first")
    search.add_argument("query", nargs="*", metavar="QUERY", help="number or name parts; see docs/search.md")
    form = search.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one call object per line")
    form.add_argument("--csv", action="store_true", help="comma-separated, with a header")
    search.add_argument("--count", action="store_true", help="print only how many there are")
    search.add_argument("--limit", type=_positive, default=100, metavar="N", help="at most N calls (100)")

    show = commands.add_parser("show", parents=[common], help="show one call with every field")
    show.add_argument("call_id", metavar="CALL-ID", help="as `search` prints it: server/id")
    show.add_argument("--raw", action="store_true", help="the original messages")

    fetch = commands.add_parser("fetch", parents=[common], help="download a recording")
    fetch.add_argument(
        "recordings_of", nargs="*", metavar="CALL-ID", help="as `search` prints it: server/id; or several"
    )
    _add_place(fetch)
    fetch.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="where to store it; of several the folder"
    )

    cache = commands.add_parser(
        "cache",
        parents=[common],
        help="tell how much the fetched recordings take, or clear them",
        description="Fetched recordings are kept in the data folder. Without an option this tells how many "
        "there are. What is protected is never removed.",
    )
    cache.add_argument("--clear", action="store_true", help="remove all that are not protected")
    cache.add_argument("--json", action="store_true", help="one JSON object")

    place = commands.add_parser(
        "place",
        parents=[common],
        help="show where the recordings of a server's last calls are looked for",
        description="Fills the server's recording template, or another one, with its last calls, and prints "
        "the place of each, or the reason why there is none. Asks no server.",
    )
    place.add_argument("server", metavar="SERVER", help="name in the settings")
    place.add_argument("template", nargs="?", metavar="KIND=TEXT", help="try this one instead")
    place.add_argument("--limit", type=_positive, default=20, metavar="N", help="at most N calls (20)")
    place.add_argument("--json", action="store_true", help="one JSON object per call")

    play = commands.add_parser("play", parents=[common], help="play a file or a call's recording")
    play.add_argument("source", nargs="?", metavar="FILE|CALL-ID", help="a sound file, or a call id")
    _add_place(play)
    play.add_argument("--start", type=_seconds, default=0.0, metavar="S", help="begin at this second")
    play.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="from 0.5 to 3, at the recording's own pitch"
    )
    play.add_argument(
        "--as",
        choices=("alaw", "mulaw"),
        dest="bare",
        help="what a file without a head is made of: 8000 samples a second, one channel",
    )
    play.add_argument("--json", action="store_true", help="one line when the first sample leaves")

    import_ = commands.add_parser(
        "import",
        parents=[common],
        help="read archives and call lists into the history",
        description="A folder is read as an archive, with all folders in it: metadata files, and the "
        "recordings beside them, which stay where they are. A file is a metadata file (.xml), packed "
        "call records of a CC-FS (.zip) or a call list: JSON lines as `search --json` prints them, "
        "or CSV with a header. Nothing is changed in any of them.",
    )
    import_.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="folder or file")
    import_.add_argument(
        "--server", type=_server, metavar="NAME", help="whose calls an archive holds (the folder's name)"
    )
    import_.add_argument(
        "--zone",
        type=_zone,
        metavar="ZONE",
        help="time zone of an archive's times, such as Europe/Berlin (that of the server, or UTC)",
    )

    return parser.parse_args(words)


def _common(default: object) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=default)
    common.add_argument(
        "--settings", type=Path, metavar="FILE", help="settings file instead of the usual one"
    )
    common.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="folder of database, recordings and logs"
    )
    common.add_argument("--log-level", choices=LOG_LEVELS, help="what goes to standard error (warning)")
    return common


def _add_duration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--for", type=_seconds, dest="for_s", metavar="S", help="stop after S seconds")


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--servers", type=_servers, default=2, metavar="N", help="simulated recording servers (2)"
    )
    parser.add_argument(
        "--calls-per-minute", type=_rate, default=12.0, metavar="N", help="new calls in all (12)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the invented calls (1)")
    parser.add_argument(
        "--providers",
        metavar="NAMES",
        help="simulated providers that send web hooks: names with commas between, all or none "
        "(all; none beside a scenario's file)",
    )


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", metavar="NAME", help="straight from this recordings server")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--path", metavar="P", help="with --server: a file's full path there")
    place.add_argument("--folder", metavar="P", help="with --server: a folder there that holds one file")
    place.add_argument("--call-id", metavar="ID", help="with --server: the server's own call id")
    for option, metavar, help_text in _FURTHER_PLACES:
        place.add_argument(option, metavar=metavar, help=f"with --server: {help_text}")


def _number(text: str, *, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{what} must be from {least:g} to {most:g}, not {text}")
    return value


def _speed(text: str) -> float:
    return _number(text, least=SLOWEST, most=FASTEST, what="times the speed")


def _seconds(text: str) -> float:
    return _number(text, least=0, most=366 * 86400, what="seconds")


def _rate(text: str) -> float:
    return _number(text, least=0.1, most=60_000, what="calls per minute")


def _whole(text: str, *, least: int, most: int, what: str) -> int:
    value = _number(text, least=least, most=most, what=what)
    if value != int(value):
        raise argparse.ArgumentTypeError(f"{what} must be a whole number, not {text}")
    return int(value)


def _server(text: str) -> str:
    if not text.strip() or "/" in text:
        raise argparse.ArgumentTypeError(f"a server's name is not empty and has no slash: {text!r}")
    return text


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time zone; they have names such as UTC and Europe/Berlin"
        ) from None


def _port(text: str) -> int:
    return _whole(text, least=0, most=65_000, what="the port")


def _positive(text: str) -> int:
    return _whole(text, least=1, most=10_000_000, what="the number")


def _servers(text: str) -> int:
    return _whole(text, least=1, most=VERBA_SERVERS, what="the number of servers")
