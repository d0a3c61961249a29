"""Finds XML documents in a byte stream that has no framing of its own (verba.md 2.1).

Knows only where documents begin and end; what they say is read elsewhere. The work grows with the number of
bytes, however they are split.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recmon.errors import MessageTooLong
from recmon.logs import mask, printable
from recmon.protocol import marks

MESSAGE_LIMIT = 1024 * 1024
"""Largest document in bytes (verba.md 2.1, rule 6)."""

_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it stood in the stream.

    Attributes:
        offset: position of its first byte in the stream.
        data: its bytes.
        is_cut: its root was not closed when the next document began or the stream ended.
        declares_types: it contains `<!DOCTYPE` or `<!ENTITY` and must not be parsed.
    """

    offset: int
    data: bytes
    is_cut: bool = False
    declares_types: bool = False


class DocumentScanner:
    """Takes in a stream in any pieces and gives out its documents.

    After each `feed`, call `next_document` until it returns None; at the end of the stream call `finish`,
    then `next_document` again until it returns None.

    Comments, CDATA, processing instructions and attribute values hide what looks like a mark inside them.
    An XML declaration cuts what stands before it. Inside a comment or a CDATA section it may be part of the
    text: there the document is cut only when a second one, the end of the stream or the limit comes before
    the section's end.

    Args:
        roots: names, or beginnings of names, with which a document without XML declaration starts.
        limit: largest document in bytes.
    """

    def __init__(self, roots: Sequence[str], *, limit: int = MESSAGE_LIMIT) -> None:
        self.skipped = 0
        """Bytes that belonged to no document since the last one."""
        self._limit = limit
        self._buffer = bytearray()
        self._offset = 0
        self._begin = 0
        self._position = 0
        self._content_begin = 0
        self._name = b""
        self._is_finished = False
        self._declares_types = False
        self._follows_open_root = False
        self._in_subset = False
        self._is_root_tag = True
        self._hidden_declaration: int | None = None
        self._section_end = marks.COMMENT_END
        self._value_end = marks.VALUE_END[b'"']
        self._after: Callable[[], Document | bool] = self._junk
        self._after_types: Callable[[], Document | bool] = self._prolog
        self._wide = marks.WIDE[0]
        self._start = marks.start_of_document(tuple(roots))
        self._wide_roots = {encoding: marks.wide_root(tuple(roots), encoding) for encoding in marks.WIDE}
        self._start_kept = max(marks.KEPT, 2 * max(map(len, roots)) + 2)
        self._scan: Callable[[], Document | bool] = self._junk

    def feed(self, data: bytes) -> None:
        """Take in the next bytes of the stream."""
        if self._begin:
            del self._buffer[: self._begin]
            self._offset += self._begin
            self._position -= self._begin
            self._content_begin -= self._begin
            if self._hidden_declaration is not None:
                self._hidden_declaration -= self._begin
            self._begin = 0
        self._buffer += data

    def finish(self) -> None:
        """Take in the end of the stream: what is left is handed out as a cut document."""
        self._is_finished = True

    def next_document(self) -> Document | None:
        """Return the next document, or None when more bytes are needed.

        Raises:
            MessageTooLong: a document exceeds the limit; the scanner cannot go on.
        """
        while True:
            # Each step returns a document, True to go on, or False when it needs more bytes.
            step = self._scan()
            if isinstance(step, Document):
                return step
            if step:
                continue
            is_open = self._scan != self._junk and self._scan != self._junk_comment
            if is_open and len(self._buffer) - self._begin > self._limit and self._hidden_declaration is None:
                raise self._too_long()
            must_cut = self._is_finished or len(self._buffer) - self._begin > self._limit
            if not is_open or not must_cut or self._begin == len(self._buffer):
                return None
            document = self._cut(self._hidden_declaration or len(self._buffer))
            if document is not None:
                return document

    def _too_long(self) -> MessageTooLong:
        beginning = bytes(self._buffer[self._begin : self._begin + 1200]).decode("utf-8", "replace")
        return MessageTooLong(
            f"a message is longer than {self._limit} bytes",
            excerpt=mask(printable(beginning)),
            offset=self._offset + self._begin,
        )

    def _close(self, end: int, *, is_cut: bool = False) -> Document:
        """Take out the document up to `end` and look for the next one behind it."""
        if end - self._begin > self._limit:
            raise self._too_long()
        data = bytes(self._buffer[self._begin : end])
        document = Document(self._offset + self._begin, data, is_cut, self._declares_types)
        self.skipped = 0
        self._begin = self._position = end
        self._declares_types = self._follows_open_root = self._in_subset = False
        self._hidden_declaration = None
        self._scan = self._junk
        return document

    def _cut(self, end: int) -> Document | None:
        """Take out a document whose root was not closed; None where it was nothing but a misused root tag."""
        follows_open_root = self._follows_open_root
        document = self._close(end, is_cut=True)
        # verba.md 3.5, GetMarkers: the root is closed by a second start tag, which is no document of its own.
        if follows_open_root and marks.EMPTY_ROOT.fullmatch(document.data):
            return None
        return document

    def _search(self, pattern: re.Pattern[bytes], kept: int = marks.KEPT) -> re.Match[bytes] | None:
        """Find the next mark; where there is none, remember how far the buffer was looked through."""
        found = pattern.search(self._buffer, self._position)
        if found is None:
            self._position = max(self._position, len(self._buffer) - kept, self._begin)
        return found

    # Between documents

    def _junk(self) -> Document | bool:
        found = self._start.search(self._buffer, self._position)
        if found is None:
            kept = 0 if self._is_finished else self._start_kept
            self._skip_to(max(self._position, len(self._buffer) - kept))
            return False
        self._skip_to(found.start())
        kind = found.lastgroup
        if kind == "big" and self.skipped % 2:
            # Seen one byte too early: the NUL is the upper half of a little-endian character.
            kind = "little"
            self._skip_to(found.start() + 1)
        self._position = found.end()
        if kind == "comment":
            self._scan = self._junk_comment
        elif kind == "types":
            self._enter_types(self._prolog)
        elif kind == "root":
            self._enter_root(found.start())
        elif kind == "declaration":
            self._scan = self._prolog
        else:
            self._wide = marks.WIDE[0 if kind == "little" else 1]
            self._scan = self._wide_root
        return True

    def _skip_to(self, position: int) -> None:
        self.skipped += position - self._begin
        self._begin = self._position = position

    def _junk_comment(self) -> Document | bool:
        found = self._search(marks.COMMENT_END)
        if found is None:
            self._skip_to(self._position)
            return False
        is_document = found.lastgroup == "declaration"
        self._skip_to(found.start() if is_document else found.end())
        self._scan = self._junk
        return True

    # Before the root, and its start tag

    def _prolog(self) -> Document | bool:
        found = self._search(marks.PROLOG)
        if found is None:
            return False
        kind = found.lastgroup
        self._position = found.end()
        if kind == "declaration":
            return self._cut(found.start()) or True
        if kind == "root":
            self._enter_root(found.start())
        elif kind == "types":
            self._enter_types(self._prolog)
        else:
            self._enter_section(
                marks.COMMENT_END if kind == "comment" else marks.INSTRUCTION_END, self._prolog
            )
        return True

    def _enter_root(self, at: int) -> None:
        # Nearly all documents have a bare root tag: this spares them two steps.
        found = marks.BARE_ROOT.match(self._buffer, at)
        if found is None:
            self._position = at + 1
            self._scan = self._root_name
        else:
            self._name = found.group(1)
            self._position = self._content_begin = found.end()
            self._scan = self._content

    def _root_name(self) -> Document | bool:
        # The name begins behind the last `<`; the position moves on through it.
        found = self._search(marks.NAME_END, kept=0)
        if found is None:
            return False
        begin = self._buffer.rfind(b"<", self._begin, found.start()) + 1
        # A name too long to be honest is never found closed: such a document ends at the next declaration.
        self._name = bytes(self._buffer[begin : min(found.start(), begin + _LONGEST_NAME)])
        self._position = found.start()
        self._is_root_tag = True
        self._scan = self._tag
        return True

    def _tag(self) -> Document | bool:
        found = self._search(marks.TAG, kept=0)
        if found is None:
            return False
        at, mark = found.start(), found.group()
        self._position = at + 1
        if mark == b"<":
            self._position = self._content_begin = at
            self._scan = self._content
        elif mark == b">":
            self._content_begin = at + 1
            self._scan = self._content
            if self._is_root_tag and self._buffer[at - 1] == ord("/"):
                return self._close(at + 1)
        else:
            before = at - 1
            while self._buffer[before] in b" \t\r\n":
                before -= 1
            if self._buffer[before] == ord("="):
                self._enter_value(mark, self._tag)
        return True

    # Inside the root

    def _content(self) -> Document | bool:
        found = self._search(marks.in_content(self._name), kept=max(marks.KEPT, len(self._name) + 3))
        if found is None:
            return False
        kind, at = found.lastgroup, found.start()
        if kind == "declaration":
            return self._cut(at) or True
        value = self._open_value(at)
        if value is not None:
            self._is_root_tag = False
            self._position = at
            self._enter_value(value, self._tag)
        elif kind == "close":
            if self._buffer[found.end() - 1] == ord(">"):
                return self._close(found.end())
            self._position = found.end()
            self._scan = self._root_end
        elif kind == "nested":
            document = self._cut(at)
            self._follows_open_root = True
            self._position = at + 1
            self._scan = self._root_name
            return document or True
        else:
            self._position = found.end()
            if kind == "types":
                self._enter_types(self._content)
            else:
                ends = {"comment": marks.COMMENT_END, "cdata": marks.CDATA_END}
                self._enter_section(ends.get(kind or "", marks.INSTRUCTION_END), self._content)
        return True

    def _open_value(self, at: int) -> bytes | None:
        """Return the quote of the attribute value in which a mark stands, or None where it stands free."""
        # Marks that close nothing are rare, so each stretch between two `<` is looked at about once.
        begin = self._buffer.rfind(b"<", self._content_begin, at)
        if begin < 0:
            return None
        stretch = bytes(self._buffer[begin:at])
        if b"=" not in stretch:
            return None
        found = marks.OPEN_VALUE.match(stretch)
        return found.group(1) if found else None

    def _root_end(self) -> Document | bool:
        found = self._search(marks.NOT_SPACE, kept=0)
        if found is None:
            return False
        return self._close(found.end() if found.group() == b">" else found.start())

    # What hides marks

    def _enter_value(self, quote: bytes, after: Callable[[], Document | bool]) -> None:
        self._value_end = marks.VALUE_END[quote]
        self._after = after
        self._scan = self._value

    def _value(self) -> Document | bool:
        found = self._search(self._value_end)
        if found is None:
            return False
        if found.lastgroup == "declaration":
            return self._cut(found.start()) or True
        self._position = found.end()
        self._scan = self._after
        return True

    def _enter_section(self, end: re.Pattern[bytes], after: Callable[[], Document | bool]) -> None:
        self._section_end = end
        self._after = after
        self._hidden_declaration = None
        self._scan = self._section

    def _section(self) -> Document | bool:
        found = self._search(self._section_end)
        if found is None:
            return False
        if found.lastgroup != "declaration":
            self._position = self._content_begin = found.end()
            self._hidden_declaration = None
            self._scan = self._after
        elif self._section_end is marks.INSTRUCTION_END:
            return self._cut(found.start()) or True
        elif self._hidden_declaration is None:
            self._hidden_declaration = found.start()
            self._position = found.end()
        else:
            return self._cut(self._hidden_declaration) or True
        return True

    def _enter_types(self, after: Callable[[], Document | bool]) -> None:
        self._declares_types = True
        self._in_subset = False
        self._after_types = after
        self._scan = self._types

    def _types(self) -> Document | bool:
        found = self._search(marks.TYPES_INSIDE)
        if found is None:
            return False
        kind, mark = found.lastgroup, found.group()
        if kind == "declaration":
            return self._cut(found.start()) or True
        self._position = found.end()
        if kind == "quote":
            self._enter_value(mark, self._types)
        elif kind != "mark":
            self._enter_section(
                marks.COMMENT_END if kind == "comment" else marks.INSTRUCTION_END, self._types
            )
        elif mark == b">":
            if not self._in_subset:
                self._content_begin = found.end()
                self._scan = self._after_types
        else:
            self._in_subset = mark == b"["
        return True

    # UTF-16: two bytes a character

    def _wide_root(self) -> Document | bool:
        found = self._search(self._wide_roots[self._wide], kept=self._start_kept)
        if found is None:
            return False
        if found.lastgroup == "declaration":
            return self._cut(found.start()) or True
        self._name = found.group("name")
        self._position = found.end()
        self._scan = self._wide_content
        return True

    def _wide_content(self) -> Document | bool:
        found = self._search(marks.in_wide_content(self._name, self._wide), kept=2 * len(self._name) + 8)
        if found is None:
            return False
        if found.lastgroup == "declaration":
            return self._cut(found.start()) or True
        return self._close(found.end())
