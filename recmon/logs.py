"""Logging with secrets masked and one line per record; also how foreign text is made fit to show.

Every layer above may import this module.
"""

from __future__ import annotations

import base64
import binascii
import logging
import logging.handlers
import os
import re
import sys
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

from recmon.errors import StoreError
from recmon.paths import DataDir

MASK = "****"
EXCERPT_LIMIT = 300
MESSAGE_LIMIT = 2_000
TRACEBACK_LIMIT = 8_000
LOG_FILE_BYTES = 2_000_000
LOG_FILES_KEPT = 4
LEVELS = ("debug", "info", "warning", "error")
SHORTEST_SECRET = 4
"""Values shorter than this are not masked by themselves: they occur in ordinary words and numbers."""

_PRIVATE_FILE = 0o600
_CUT = "…"

_KEYS = (
    r"st|token|access_token|auth_token|crm_token|api[-_]?key|api[-_]?secret|api[-_]?salt|"
    r"password|passwd|secret|hook[-_]?secret|secret[-_]?key|access[-_]?key|client[-_]?secret"
)
# In order; each keeps what stands before a secret, so that a reader sees what was hidden. A look at the first
# letter comes before a choice of words, because every received message passes through here.
_PATTERNS = (
    # The whole value of a header, whichever way it is written: header line, tuple, JSON, Python dictionary.
    re.compile(
        r"(?=[apsc])((?:proxy-)?authorization|set-cookie|cookie)"
        r"(['\"]?\s*[:=]\s*|['\"]\s*,\s*)(\"[^\"\r\n]*\"?|'[^'\r\n]*'?|[^'\"\r\n]+)",
        re.IGNORECASE,
    ),
    # ccfs.md, section 2: access key, time, signed headers and signature.
    re.compile(r"()(auth-v\d+)/[^\s'\",)<>]*", re.IGNORECASE),
    re.compile(r"\b(Basic|Bearer|Digest)(\s+)[A-Za-z0-9+/=._~-]{8,}"),
    # Query strings, forms, attributes, JSON and settings: the name, then what stands behind `=` or `:`.
    re.compile(
        rf"(?=[stacph])(?<![A-Za-z0-9])({_KEYS})(['\"]?\s*(?:=|:(?!//)|%3D)\s*)"
        r"(\"[^\"\r\n]*\"?|'[^'\r\n]*'?|[^\s&'\"<>;,)}\]]+)",
        re.IGNORECASE,
    ),
    re.compile(rf"(<(?:{_KEYS})\b[^<>]*)(>)[^<]+", re.IGNORECASE),
    # contract.md, section 3: /hooks/<server>/<secret>.
    re.compile(r"(/hooks)(/[^/\s]+/)[^\s/?#'\"<>]+", re.IGNORECASE),
    # User and password in an address.
    re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)([^/\s:@]*:)[^/\s@]+(?=@)", re.IGNORECASE),
)

# Whether any of them can match, in one pass over lower case: of most texts none does, and each costs a pass.
_WORTH_A_LOOK = re.compile(
    r"authorization|cookie|auth-v\d|basic|bearer|digest|/hooks/|://[^/\s:@]*:[^/\s@]+@|"
    rf"(?<![a-z0-9])(?:{_KEYS})['\"]?\s*(?:=|:(?!//)|%3d)|<(?:{_KEYS})\b"
)
# What matches a letter of the words above in any case, and is not made one by `lower`.
_LIKE_LETTERS = (("\u017f", "s"), ("\u0131", "i"), ("\u0130", "i"))


class _KnownSecrets:
    """The secrets revealed in this process, in every form in which they could be written."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        new = {form for form in _forms(value) if len(form) >= SHORTEST_SECRET} - self._forms
        if new:
            self._forms |= new
            # Longest first: one secret may be the beginning of another.
            ordered = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def masked(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


def _forms(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield urllib.parse.quote(value, safe="", errors="replace")
    yield urllib.parse.quote(value, errors="replace")
    yield urllib.parse.quote_plus(value, errors="replace")
    yield repr(value)[1:-1]
    yield base64.b64encode(data).decode().rstrip("=")
    yield base64.urlsafe_b64encode(data).decode().rstrip("=")
    yield binascii.hexlify(data).decode()
    yield binascii.hexlify(data).decode().upper()


# The one piece of state of this module: a log has to know what it must never show, whoever logs it.
_known_secrets = _KnownSecrets()


def remember_secret(value: str) -> None:
    """Mask this value, and its usual encodings, in every text from now on; kept in memory only."""
    _known_secrets.add(value)


def mask(text: str) -> str:
    """Return the text with credentials replaced by `****`.

    Hidden are authorisation headers, CC-FS signatures, secret parameters, hook addresses, passwords in
    addresses, and every secret revealed in this process, also URL-encoded, in base64 and in hexadecimal.
    """
    text = _known_secrets.masked(text)
    if not _is_worth_a_look(text):
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(_hide, text)
    return text


def _is_worth_a_look(text: str) -> bool:
    if not text.isascii():
        for character, letter in _LIKE_LETTERS:
            text = text.replace(character, letter)
    return _WORTH_A_LOOK.search(text.lower()) is not None


def _hide(found: re.Match[str]) -> str:
    before, separator = found.group(1), found.group(2)
    if not before:
        return f"{separator}/{MASK}"
    secret = found.group(0)[len(before) + len(separator) :]
    quote = secret[0] if secret[:1] in {"'", '"'} else ""
    return f"{before}{separator}{quote}{MASK}{quote if len(secret) > 1 else ''}"


def printable(text: str, limit: int = EXCERPT_LIMIT) -> str:
    r"""Return the text on one line, without anything that acts on a terminal or reorders what is read.

    Control, bidirectional and other invisible characters become escapes such as `\n` or `\u202e`.

    Args:
        text: from anywhere.
        limit: most characters of the result; a longer one is cut and ends in an ellipsis.
    """
    if len(text) <= limit and text.isprintable():
        return text
    pieces: list[str] = []
    length = 0
    for character in text[: limit + 1]:
        piece = character if character.isprintable() else _escaped(character)
        length += len(piece)
        pieces.append(piece)
        if length > limit:
            break
    if length <= limit:
        return "".join(pieces)
    while length > limit - len(_CUT):
        length -= len(pieces.pop())
    return "".join(pieces) + _CUT


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class OneLineFormatter(logging.Formatter):
    """Writes a record as one line: UTC time, level, logger, text and any traceback, escaped and masked."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        try:
            message = record.getMessage()
        except Exception:  # a wrong log call must lose neither its record nor the program
            message = f"{record.msg} (its arguments do not fit)"
        line = f"{at.replace('+00:00', 'Z')} {record.levelname} {printable(record.name)}: "
        line += printable(mask(message), MESSAGE_LIMIT)
        if record.exc_info:
            # The usual traceback shows places and source lines, never the values of variables.
            line += " | " + printable(mask(self.formatException(record.exc_info)), TRACEBACK_LIMIT)
        return line


class PrivateLogFile(logging.handlers.RotatingFileHandler):
    """A log file that its owner alone can read, replaced by a new one when it is full."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE_FILE)
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)


def _log_file(path: Path) -> PrivateLogFile:
    try:
        return PrivateLogFile(
            path,
            maxBytes=LOG_FILE_BYTES,
            backupCount=LOG_FILES_KEPT,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        detail = f"the log file cannot be opened: {error.strerror or error}"
        raise StoreError(str(path), detail) from error


def configure(data_dir: DataDir | None, level: str = "warning") -> None:
    """Send log records to standard error and, where there is a data folder, to rotating files in it.

    Calling it again replaces what the earlier call set up.

    Args:
        data_dir: where `recmon.log` and the older files are kept, or None for no file.
        level: of `LEVELS`, what standard error shows; the file holds `info` at least.

    Raises:
        ValueError: there is no such level.
        StoreError: the log file cannot be opened.
    """
    if level not in LEVELS:
        raise ValueError(f"no such log level: {level}")
    shown = logging.getLevelNamesMapping()[level.upper()]
    sinks: list[logging.Handler] = []
    if data_dir is not None:
        file = _log_file(data_dir.logs / "recmon.log")
        file.setLevel(min(shown, logging.INFO))
        sinks.append(file)
    if sys.stderr is not None:  # a windowed program on Windows has none
        screen = logging.StreamHandler(sys.stderr)
        screen.setLevel(shown)
        sinks.append(screen)
    root = logging.getLogger()
    for earlier in [sink for sink in root.handlers if isinstance(sink.formatter, OneLineFormatter)]:
        root.removeHandler(earlier)
        earlier.close()
    for sink in sinks:
        sink.setFormatter(OneLineFormatter())
        root.addHandler(sink)
    root.setLevel(min((sink.level for sink in sinks), default=shown))
    # Otherwise a full disk makes logging print the record, unmasked, to standard error.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
