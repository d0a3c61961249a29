"""Finds the line of every key in a TOML text, which the standard reader does not tell.

Only for texts that `tomllib` has accepted: it follows their structure and checks nothing.
"""

from __future__ import annotations

import bisect
import tomllib
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys from the top, with the index for an element of an array: `("servers", 1, "events", "port")`."""


class KeyLines:
    """Lines, counted from 1, by key path.

    Args:
        text: valid TOML.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[KeyPath, int] = {}
        _Scanner(text, self._lines).scan()

    def line_of(self, path: KeyPath) -> int:
        """Return the line of a key, or of the table it would be in; 1 for the whole text."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(path[:length])
            if line is not None:
                return line
        return 1


class _Scanner:
    def __init__(self, text: str, lines: dict[KeyPath, int]) -> None:
        # As tomllib does, so that its positions and ours agree.
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._lines = lines
        self._breaks = [index for index, character in enumerate(self._text) if character == "\n"]
        self._array_tables: dict[KeyPath, int] = {}

    def scan(self) -> None:
        table: KeyPath = ()
        while self._skip(" \t\n"):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)

    def _header(self, brackets: int) -> KeyPath:
        line = self._line()
        self._at += brackets
        keys = self._dotted_key()
        self._skip(" \t")
        self._at += brackets
        path: KeyPath = ()
        for index, key in enumerate(keys):
            path += (key,)
            if brackets == 2 and index == len(keys) - 1:
                number = self._array_tables.get(path, -1) + 1
                self._array_tables[path] = number
                self._lines.setdefault(path, line)
                path += (number,)
            elif path in self._array_tables:
                # A table below an array of tables belongs to its newest element.
                path += (self._array_tables[path],)
        self._lines[path] = line
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for key in self._dotted_key():
            path += (key,)
            self._lines.setdefault(path, line)
        self._skip(" \t")
        self._at += 1  # the equals sign
        self._skip(" \t")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        match self._text[self._at]:
            case '"' | "'":
                self._string()
            case "[":
                self._at += 1
                self._array(path)
            case "{":
                self._at += 1
                while self._skip(" \t\n,") and self._text[self._at] != "}":
                    self._pair(path)
                self._at += 1
            case _:
                while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                    self._at += 1

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._skip(" \t\n,") and self._text[self._at] != "]":
            self._lines.setdefault((*path, index), self._line())
            self._value((*path, index))
            index += 1
        self._at += 1

    def _dotted_key(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip(" \t")
            begin = self._at
            if self._text[begin] in "\"'":
                self._string()
                keys.append(_unquoted(self._text[begin : self._at]))
            else:
                while self._text[self._at] not in " \t.=]":
                    self._at += 1
                keys.append(self._text[begin : self._at])
            self._skip(" \t")
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        is_long = self._text.startswith(quote * 3, self._at)
        end = quote * 3 if is_long else quote
        self._at += len(end)
        while not self._text.startswith(end, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(end)
        # Up to two quotes may stand directly before the closing three.
        while is_long and self._text.startswith(quote, self._at):
            self._at += 1

    def _skip(self, characters: str) -> bool:
        """Go on to the next character that is none of these nor in a comment; tell whether there is one."""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif character in characters:
                self._at += 1
            else:
                return True
        return False

    def _line(self) -> int:
        return bisect.bisect_left(self._breaks, self._at) + 1


def _unquoted(key: str) -> str:
    parsed: dict[str, Any] = tomllib.loads(f"{key} = 0")
    return next(iter(parsed))
