from __future__ import annotations

import base64
import logging
import re
import stat
import sys
import unicodedata
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmon import logs
from recmon.errors import StoreError
from recmon.logs import MASK, OneLineFormatter, configure, mask, printable, remember_secret
from recmon.paths import DataDir

CANARY = "CANARY-7f/+ 3&b"


@pytest.fixture(autouse=True)
def _forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_known_secrets", logs._KnownSecrets())


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[DataDir]:
    """A data folder; logging is as before afterwards."""
    root = logging.getLogger()
    before, level, raises = list(root.handlers), root.level, logging.raiseExceptions
    yield DataDir(tmp_path / "data")
    for sink in list(root.handlers):
        if sink not in before:
            root.removeHandler(sink)
            sink.close()
    root.setLevel(level)
    logging.raiseExceptions = raises
    logging.captureWarnings(False)


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("recmon.test", logging.INFO, __file__, 1, message, args, None)


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Basic {CANARY}",
        f"authorization: Bearer {CANARY}\r\nHost: x",
        f"{{'Authorization': 'auth-v2/ak/2026-11-21T08:15:30.125Z/a;host/{CANARY}', 'b': 1}}",
        f"('Authorization', 'auth-v2/ak/1/host/{CANARY}')",
        f'{{"authorization": "{CANARY}"}}',
        f"Proxy-Authorization: {CANARY}",
        f"Cookie: session={CANARY}; path=/",
        "prefix auth-v2/ak/1/content-length;host/CANARY-1234",
        "GET /verba/api?action=x&st=CANARY-1234&q=1",
        "?token=CANARY-1234",
        "apiKey=CANARY-1234&x",
        f'password="{CANARY}"',
        f"password='{CANARY}'",
        f'{{"password": "{CANARY}"}}',
        'hook_secret = "CANARY-1234"',
        "<Password>CANARY-1234</Password>",
        "POST /hooks/pbx/CANARY-1234?x=1",
        "https://user:CANARY-1234@host/path",
        "Bearer CANARY-1234",
    ],
)
def test_credentials_are_masked(text: str) -> None:
    masked = mask(text)
    assert "CANARY" not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "the authorization, he said",
        "state=1&last=2&test=3",
        "https://host:8080/path",
        "first: second",
        "a hook",
    ],
)
def test_ordinary_text_is_not_masked(text: str) -> None:
    assert mask(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert mask("GET /a?st=abc&x=1") == f"GET /a?st={MASK}&x=1"
    assert mask("/hooks/pbx/abc?x=1") == f"/hooks/pbx/{MASK}?x=1"
    assert mask("Authorization: Basic abc\nHost: x") == f"Authorization: {MASK}\nHost: x"


def test_revealed_secret_is_masked_in_every_encoding() -> None:
    remember_secret(CANARY)
    data = CANARY.encode()
    for form in (
        CANARY,
        repr(CANARY),
        urllib.parse.quote(CANARY),
        urllib.parse.quote(CANARY, safe=""),
        urllib.parse.quote_plus(CANARY),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        data.hex(),
        data.hex().upper(),
    ):
        assert form.strip("'=") not in mask(f"before {form} after")


def test_longer_secret_is_masked_whole_although_another_is_its_beginning() -> None:
    remember_secret("abcdef")
    remember_secret("abcdefghi")
    assert mask("x abcdefghi y") == f"x {MASK} y"


def test_very_short_secret_does_not_blot_out_ordinary_text() -> None:
    remember_secret("1")
    remember_secret("")
    assert mask("11 calls") == "11 calls"


# Letters that match those of a word in any case are among them.
_WORDS = (
    "st s\u017f \u017ft tokEn to\u212aen api_key ap\u0131key ap\u0130_secret api-salt password PASSWD "
    "secret hook_secret Authorization author\u0130zation proxy-authorization set-cookie COO\u212aIE "
    "auth-v1/ Ba\u017fic Basic Bearer digest"
)
_SIGNS = (
    "= : %3D %3d \": ':' :// /hooks/ /HOOK\u017f/ https user:word@ @ < > </ & x CANARY-1234 / \u00e9 \" ' 1 ?"
)
_PIECES = st.sampled_from([*_WORDS.split(), *_SIGNS.split(), " ", "\n"])


@settings(max_examples=1000)
@given(st.lists(_PIECES, max_size=12).map("".join) | st.text())
def test_the_first_look_lets_nothing_through_that_any_pattern_masks(text: str) -> None:
    masked = text
    for pattern in logs._PATTERNS:
        masked = pattern.sub(logs._hide, masked)
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    ["a." * 50_000, 'token="' * 20_000, "<token " * 20_000, "a://" * 50_000, "authorization" + " " * 200_000],
)
def test_masking_hostile_text_takes_no_time_beyond_its_length(text: str) -> None:
    # A pattern that backtracks would run into the test's deadline: minutes, not milliseconds.
    assert len(mask(text)) <= len(text) + len(text) // 2


def test_printable_escapes_what_acts_on_a_terminal() -> None:
    assert printable("a\r\nb\x1b[31m\u202ec\u2066\x00\x85\u2028") == (
        r"a\r\nb\x1b[31m\u202ec\u2066\x00\x85\u2028"
    )
    assert printable("\udc80") == r"\udc80"


def test_printable_leaves_other_scripts_alone() -> None:
    text = "Zoë 北京 שלום Ελλάδα 📞"
    assert printable(text) == text


def test_printable_cuts_long_text() -> None:
    assert printable("x" * 301) == "x" * 299 + "…"
    assert printable("x" * 300) == "x" * 300


@given(st.text(st.characters(), max_size=400), st.integers(min_value=1, max_value=350))
def test_printable_is_one_bounded_harmless_line(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in shown)


def test_record_is_one_line_however_it_is_made() -> None:
    line = OneLineFormatter().format(
        record("caller %s", "x\r\n2026-11-21T00:00:00.000Z INFO forged: y\u2028z")
    )
    assert len(line.splitlines()) == 1
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO recmon\.test: caller x", line)


def test_record_is_cut() -> None:
    assert len(OneLineFormatter().format(record("x" * 100_000))) < 2_200


def test_traceback_is_on_the_line_without_values_or_secrets() -> None:
    remember_secret("CANARY-in-error")

    def fail() -> None:
        local_value = "CANARY-local"
        raise ValueError("CANARY-in-error", len(local_value))

    try:
        fail()
    except ValueError:
        entry = record("failed")
        entry.exc_info = sys.exc_info()
    line = OneLineFormatter().format(entry)
    assert len(line.splitlines()) == 1
    assert "ValueError" in line
    assert "CANARY" not in line


def test_wrong_log_call_still_leaves_a_record() -> None:
    assert "arguments do not fit" in OneLineFormatter().format(record("%s and %s", 1))


def test_file_holds_masked_records_and_is_private(
    data_dir: DataDir, capsys: pytest.CaptureFixture[str]
) -> None:
    remember_secret("CANARY-9876")
    configure(data_dir, "error")
    logging.getLogger("recmon.test").info("token=%s and CANARY-9876", "abc")
    logging.getLogger("recmon.test").debug("too fine")
    file = data_dir.logs / "recmon.log"
    text = file.read_text()
    assert text.endswith(f"INFO recmon.test: token={MASK} and {MASK}\n")
    assert "too fine" not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert capsys.readouterr().err == ""


@pytest.mark.expects_log("to be seen")
def test_standard_error_shows_from_its_level(data_dir: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    configure(None, "warning")
    logging.getLogger("recmon.test").info("not to be seen")
    logging.getLogger("recmon.test").warning("to be seen")
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "WARNING recmon.test: to be seen" in shown


def test_configuring_again_writes_each_record_once(data_dir: DataDir) -> None:
    configure(data_dir, "info")
    configure(data_dir, "info")
    logging.getLogger("recmon.test").info("once")
    assert (data_dir.logs / "recmon.log").read_text().count("once") == 1


def test_full_file_is_replaced_and_old_ones_are_dropped(
    data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOG_FILE_BYTES", 500)
    configure(data_dir, "error")
    for number in range(200):
        logging.getLogger("recmon.test").info("record %d", number)
    files = sorted(data_dir.logs.iterdir())
    assert len(files) == 1 + logs.LOG_FILES_KEPT
    assert all(file.stat().st_size <= 500 for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert "record 199" in (data_dir.logs / "recmon.log").read_text()


def test_unknown_level_is_refused(data_dir: DataDir) -> None:
    with pytest.raises(ValueError, match="no such log level"):
        configure(data_dir, "loud")


def test_log_file_that_cannot_be_opened_is_told(data_dir: DataDir) -> None:
    (data_dir.logs / "recmon.log").mkdir()
    with pytest.raises(StoreError, match="log file cannot be opened"):
        configure(data_dir, "info")
