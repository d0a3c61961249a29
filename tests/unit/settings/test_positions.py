from __future__ import annotations

import pytest

from recmon.settings.positions import KeyLines, KeyPath

TEXT = """\
# a comment with [brackets] and = signs
version = 1

[[servers]]  # first
name = "east ] # } no comment"
list = [
  "a",   # with, a comment
  [1, 2],
  { x = 1, y.z = 2 },
]
inline = { one = 1, "two three" = [ { four = 4 } ] }
dotted.key.here = 2026-11-21 08:00:00
'quo"ted' = '''
several = "lines"
'''
long = \"\"\"
[[servers]]
quotes inside \"\" and \\\"\"\" at the end\"\"\"\"\"
after = 1

[servers.events]
port = 1
[servers.events.tls]
ca_file = "x"

[[servers]]
name = 'west'

  [[servers.numbers]]
  number = 1
  [[servers.numbers]]
  number = 2
  [servers.numbers.deep]
  key = true
[listener]
port = 3"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("version",), 2),
        (("servers", 0), 4),
        (("servers", 0, "name"), 5),
        (("servers", 0, "list"), 6),
        (("servers", 0, "list", 0), 7),
        (("servers", 0, "list", 1, 1), 8),
        (("servers", 0, "list", 2, "y", "z"), 9),
        (("servers", 0, "inline", "two three", 0, "four"), 11),
        (("servers", 0, "dotted", "key", "here"), 12),
        (("servers", 0, 'quo"ted'), 13),
        (("servers", 0, "long"), 16),
        (("servers", 0, "after"), 19),
        (("servers", 0, "events"), 21),
        (("servers", 0, "events", "port"), 22),
        (("servers", 0, "events", "tls", "ca_file"), 24),
        (("servers", 1), 26),
        (("servers", 1, "name"), 27),
        (("servers", 1, "numbers", 0, "number"), 30),
        (("servers", 1, "numbers", 1, "number"), 32),
        (("servers", 1, "numbers", 1, "deep", "key"), 34),
        (("listener", "port"), 36),
    ],
)
def test_key_is_found_on_its_line(path: KeyPath, line: int) -> None:
    assert KeyLines(TEXT).line_of(path) == line


def test_lines_count_alike_with_windows_line_ends() -> None:
    assert KeyLines(TEXT.replace("\n", "\r\n")).line_of(("listener", "port")) == 36


def test_missing_key_is_placed_at_its_table() -> None:
    lines = KeyLines(TEXT)
    assert lines.line_of(("servers", 0, "events", "host")) == 21
    assert lines.line_of(("servers", 1, "vendor")) == 26
    assert lines.line_of(("nothing",)) == 1


@pytest.mark.parametrize(
    "text", ["", "\n", "# only", "a=1", "a=[]", "a={}", 'a=""', "a=''''''", "[a]", "[[a]]"]
)
def test_short_texts_are_scanned(text: str) -> None:
    assert KeyLines(text).line_of(("a",)) == 1
