"""Reads one XML document: strictly first, then as tolerantly as the vendors' own defects need (verba.md 3.5).

Both readers give the same small tree. Document types and entities are refused before anything is parsed; no
file or network access is possible.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from recmon.errors import MalformedMessage

DEPTH_LIMIT = 256
ELEMENT_LIMIT = 20_000
"""More elements than this are no message: reading them would only take time."""

_SHORTEST_ELEMENT = len("<a/>")

# Without network, entities, DTDs; the encoding is settled before the parser sees the text.
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    encoding="utf-8",
)
_DECLARED = re.compile(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']\s*([^\"'\s]*)")
_TYPES = re.compile(rb"<!--|<!\[CDATA\[|<!(?i:DOCTYPE|ENTITY)")
_ENCODING_NAME = re.compile(
    r"(?:iso-?8859-\d{1,2}|latin-?1|windows-125\d|cp125\d|koi8-[ru]|ibm866|cp866)", re.IGNORECASE
)
_ASCII = {"utf-8", "utf8", "us-ascii", "ascii"}
_WIDE = {"utf-16", "utf-16le", "utf-16be", "utf-16-le", "utf-16-be", "ucs-2", "unicode"}


@dataclass(slots=True)
class Element:
    """An element of a document that was read.

    Attributes:
        name: as written.
        attributes: by name as written.
        text: the text before the first child, as written.
        children: elements only, in order.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def descendants(self) -> Iterator[Element]:
        """Yield this element and everything below it, in document order."""
        yield self
        for child in self.children:
            yield from child.descendants()


def read_document(data: bytes, *, is_cut: bool = False, element_limit: int = ELEMENT_LIMIT) -> Element:
    """Return the root element of one document.

    Args:
        data: the document, in UTF-8 or the encoding it declares.
        is_cut: its end is known to be missing. It is then accepted only when nothing but the root is still
            open, so that no half name, number or identifier is ever taken for a whole one.
        element_limit: more elements than this are refused.

    Raises:
        MalformedMessage: neither reader can make sense of it; the detail says why.
    """
    data = _readable(data)
    root = None if is_cut else _read_strictly(data, element_limit)
    if root is not None:
        return root
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedMessage(f"it is not valid UTF-8 at byte {error.start}") from error
    return _TolerantReader(text, element_limit).read(is_cut=is_cut)


def read_well_formed(data: bytes) -> Element | None:
    """Return the root element of one document, or None where it is not well-formed, or refused."""
    try:
        return _read_strictly(_readable(data), ELEMENT_LIMIT)
    except MalformedMessage:
        return None


def _readable(data: bytes) -> bytes:
    """Return a document in UTF-8, and refuse what no reader may see."""
    data = _as_utf8(data)
    if b"<!" in data:
        _refuse_types(data)
    if b"\0" in data:
        raise MalformedMessage("it contains NUL bytes")
    return data


def _read_strictly(data: bytes, element_limit: int) -> Element | None:
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError:
        return None
    if len(data) > _SHORTEST_ELEMENT * element_limit and sum(1 for _ in root.iter()) > element_limit:
        raise MalformedMessage(f"it has more than {element_limit} elements")
    converted = _converted(root)
    return _without_namespaces(converted) if b"xmlns" in data else converted


def _as_utf8(data: bytes) -> bytes:
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:2] in (b"<\0", b"\0<"):
        is_big = data[:2] in (b"\xfe\xff", b"\0<")
        try:
            return data.decode("utf-16-be" if is_big else "utf-16-le").lstrip("\ufeff").encode()
        except UnicodeError as error:
            raise MalformedMessage("it is not valid UTF-16") from error
    declared = _DECLARED.match(data)
    if declared is None:
        return data
    name = declared.group(1).decode("ascii", "replace").lower()
    # Some writers declare UTF-16, the form their strings have in memory, and send UTF-8.
    if name in _ASCII or name in _WIDE:
        return data
    if not _ENCODING_NAME.fullmatch(name):
        raise MalformedMessage(f"its encoding {name[:40]!r} is not supported")
    try:
        return data.decode(name).encode()
    except LookupError as error:
        raise MalformedMessage(f"its encoding {name!r} is not supported") from error
    except UnicodeDecodeError as error:
        raise MalformedMessage(f"it is not valid {name} at byte {error.start}") from error


def _refuse_types(data: bytes) -> None:
    position = 0
    while found := _TYPES.search(data, position):
        if found.group() not in (b"<!--", b"<![CDATA["):
            raise MalformedMessage("it declares a document type or entities, which are refused")
        position = data.find(b"-->" if found.group() == b"<!--" else b"]]>", found.end())
        if position < 0:
            return


# lxml gives text for what is parsed here; its stubs allow for bytes too.
def _converted(element: Any) -> Element:
    # Most elements have no children; a call for each of them would take half of the time.
    return Element(
        element.tag,
        dict(element.items()),
        element.text or "",
        [
            _converted(child) if len(child) else Element(child.tag, dict(child.items()), child.text or "", [])
            for child in element
        ],
    )


def _without_namespaces(root: Element) -> Element:
    # A namespace tells nothing here: the vendors' names are told apart without.
    for element in root.descendants():
        element.name = element.name[element.name.find("}") + 1 :]
    return root


_NAME = r"[A-Za-z_:\u0080-\U0010ffff][^\s/<>=\"'&;!?]*"
_TOKEN = re.compile(rf"<!--|<!\[CDATA\[|<\?|</\s*(?P<close>{_NAME})[^<>]*>|<(?P<open>{_NAME})")
# One or more quotes end a value (3.5, subscribe response); a value may lack quotes (3.5, mute prose).
_ATTRIBUTE = re.compile(
    r"\s*(?P<name>[^\s/<>=\"']+)\s*=\s*(?:\"(?P<double>[^\"]*)\"++(?=[\s/>?])|'(?P<single>[^']*)'++(?=[\s/>?])"
    r"|(?P<bare>[^\s/<>\"']+))"
)
_TAG_END = re.compile(r"\s*(/?)>")
# What is neither attribute nor end, in pieces that keep the work linear.
_STRAY = re.compile(r"\s+|[^\s/<>=\"']+|[^<]")
_REFERENCE = re.compile(r"&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|(lt|gt|amp|quot|apos));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_SECTION_ENDS = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}


class _TolerantReader:
    """A stack of open elements that forgives the defects of verba.md 3.5."""

    def __init__(self, text: str, element_limit: int) -> None:
        self._text = text
        self._limit = element_limit
        self._root: Element | None = None
        self._open: list[tuple[Element, list[str]]] = []
        self._open_names: Counter[str] = Counter()
        self._count = 0

    def read(self, *, is_cut: bool) -> Element:
        position = 0
        while found := _TOKEN.search(self._text, position):
            self._add_text(self._text[position : found.start()], is_raw=False)
            position = found.end()
            if found["open"]:
                if self._root is not None and found["open"] == self._root.name:
                    # GetMarkers: a nested second root start ends the document.
                    self._close_down_to(0)
                    return self._root
                position = self._start(found["open"], position)
            elif found["close"]:
                self._end(found["close"])
            else:
                position = self._skip_section(found.group(), position)
            if self._root is not None and not self._open:
                return self._root
        if self._root is None:
            raise MalformedMessage("it has no element that can be read")
        rest = self._text[position:]
        if len(self._open) > 1 or "<" in rest or (is_cut and rest.strip()):
            raise MalformedMessage("it was cut off before its end")
        self._close_down_to(0)
        return self._root

    def _start(self, name: str, position: int) -> int:
        attributes: dict[str, str] = {}
        while not (end := _TAG_END.match(self._text, position)):
            if found := _ATTRIBUTE.match(self._text, position):
                value = found["double"] or found["single"] or found["bare"] or ""
                attributes.setdefault(found["name"], _resolved(value))
                position = found.end()
            elif stray := _STRAY.match(self._text, position):
                position = stray.end()
            else:
                raise MalformedMessage(f"the tag {name[:40]!r} has no end")
        element = Element(name, attributes)
        self._count += 1
        if self._count > self._limit:
            raise MalformedMessage(f"it has more than {self._limit} elements")
        if self._open:
            self._open[-1][0].children.append(element)
        else:
            self._root = element
        if not end.group(1):
            if len(self._open) >= DEPTH_LIMIT:
                raise MalformedMessage(f"it is nested deeper than {DEPTH_LIMIT} levels")
            self._open.append((element, []))
            self._open_names[name] += 1
        return end.end()

    def _end(self, name: str) -> None:
        if self._open_names[name]:
            # MuteChannel: closing an outer element closes everything open inside it.
            level = len(self._open) - 1
            while self._open[level][0].name != name:
                level -= 1
            self._close_down_to(level)
        elif len(self._open) > 1:
            # GetCallInformation: a misspelt close tag closes the element that holds nothing but text.
            # Any other close tag without a partner is ignored (failed response).
            innermost, pieces = self._open[-1]
            if not innermost.children and any(piece.strip() for piece in pieces):
                self._close_down_to(len(self._open) - 1)

    def _close_down_to(self, level: int) -> None:
        while len(self._open) > level:
            element, pieces = self._open.pop()
            element.text = "".join(pieces)
            self._open_names[element.name] -= 1

    def _skip_section(self, mark: str, position: int) -> int:
        end_mark = _SECTION_ENDS[mark]
        end = self._text.find(end_mark, position)
        if end < 0:
            raise MalformedMessage("a comment, CDATA section or processing instruction has no end")
        if mark == "<![CDATA[":
            self._add_text(self._text[position:end], is_raw=True)
        return end + len(end_mark)

    def _add_text(self, text: str, *, is_raw: bool) -> None:
        if text and self._open and not self._open[-1][0].children:
            self._open[-1][1].append(text if is_raw else _resolved(text))


def _resolved(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    is_text = (code >= 0x20 and not 0xD800 <= code <= 0xDFFF and code <= 0x10FFFF) or code in (9, 10, 13)
    return chr(code) if is_text else found.group()
