"""What a recorder API document says, in the vendor's own words (verba.md 2.2, 3.2, 3.3).

The shape of notifications is not documented; they are read by what they contain, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from recmon.protocol.xml import Element
from recmon.vendors.verba.cdr import documented_name, plain
from recmon.vendors.verba.classification import LABEL_ATTRIBUTES, LABEL_ELEMENTS, Classify, Kind, kind_of

SUBSCRIBE = "SubscribeOnCallEvent"
TERMINATORS = {"none": b"", "lf": b"\n", "crlf": b"\r\n", "nul": b"\0"}

_RESPONSE_PARTS = frozenset({"verbaapi", "response", "request", "keepalive", "errormessage"})
_ENVELOPE = _RESPONSE_PARTS | LABEL_ELEMENTS - {"call"}
_ENVELOPE_ATTRIBUTES = LABEL_ATTRIBUTES | {"id", "code"}
_RESPONSE_ATTRIBUTES = frozenset({"code", "type", "id", "time", "description", "version"})
_CALLS = frozenset({"call", "verbacdr"})
_NO_FIELDS = frozenset({"keepalive", "errormessage"})
_SPECIAL = _NO_FIELDS | _ENVELOPE | _CALLS | {"id", "ccdrid", "callid"}
_GROUPS = frozenset({"shareditem"})
"""Elements with fields of their own, which must not be taken for the call's."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The announced interval, as written; empty where it is missing."""

    time: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to a request of ours.

    Attributes:
        request_id: the echoed id.
        code: as written; empty where it is missing.
        reason: text of the error, empty where there is none.
    """

    request_id: str
    code: str
    reason: str

    @property
    def is_success(self) -> bool:
        """Whether the code is zero: anything else, or nothing, is a failure (verba.md 2.2)."""
        code = self.code.strip()
        return code.isdecimal() and int(code) == 0


@dataclass(frozen=True, slots=True)
class Notification:
    """News of one call.

    Attributes:
        kind: what its words say; None where they say nothing or contradict each other.
        call_id: trimmed, without braces, in lower case; empty where it names no call.
        fields: by documented name where there is one, else by the name in the document.
    """

    kind: Kind | None
    call_id: str
    fields: tuple[tuple[str, str], ...]

    def field(self, name: str) -> str:
        """Return a field's text, or an empty text."""
        return next((value for key, value in self.fields if key == name and value), "")


@dataclass(frozen=True, slots=True)
class Message:
    """All that one document says.

    Attributes:
        answer: to a pending request; then there are no notifications.
        keepalive: the interval it announces, or None.
        is_empty: whether it says nothing else.
        notifications: of one call each.
        error: text of an error that answers no pending request.
    """

    answer: Answer | None = None
    keepalive: Keepalive | None = None
    is_empty: bool = False
    notifications: tuple[Notification, ...] = ()
    error: str = ""


def subscribe_request(request_id: str, extensions: Sequence[str], terminator: str) -> bytes:
    """Return the request to be told of calls: of all, or of those with one of the numbers (verba.md 3.1)."""
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<VerbaApi>\n  <Request type="{SUBSCRIBE}" id="{request_id}"'
    )
    if extensions:
        numbers = "".join(f"    <Extension number={quoteattr(number)}/>\n" for number in extensions)
        body = f">\n{numbers}  </Request>\n</VerbaApi>"
    else:
        body = "/>\n</VerbaApi>"
    return (head + body).encode() + TERMINATORS[terminator]


def list_request(request_type: str, request_id: str, terminator: str) -> bytes:
    """Return a request without a body, such as the one for the calls that go on (verba.md 3.4)."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<VerbaApi>\n'
        f'  <Request type={quoteattr(request_type)} id="{request_id}"/>\n</VerbaApi>'
    ).encode() + TERMINATORS[terminator]


def details_request(request_type: str, request_id: str, call_id: str, terminator: str) -> bytes:
    """Return a request for what the server knows of one call (verba.md 3.4)."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<VerbaApi>\n'
        f'  <Request type={quoteattr(request_type)} id="{request_id}">\n'
        f"    <Call id={quoteattr(call_id)}/>\n  </Request>\n</VerbaApi>"
    ).encode() + TERMINATORS[terminator]


def read_calls(root: Element) -> tuple[Notification, ...]:
    """Return every call in the answer to such a request: each `Call` with an id and each `verbacdr`.

    They may stand anywhere in it (verba.md 3.4). What stands around a call, such as the echo of the request,
    tells nothing of it.
    """
    found: dict[str, list[Element]] = {}
    elements = [root]
    # Grows while it is walked through.
    for element in elements:
        own_id = _own_id(element) if plain(element.name) in _CALLS else ""
        if own_id:
            found.setdefault(own_id, []).append(element)
        # A record may stand inside a call, or the other way round, with the same id or without one.
        elements += element.children
    calls = [_notification(parts, None) for parts in found.values()]
    return tuple({call.call_id: call for call in calls if call.call_id}.values())


def read_message(root: Element, pending: Container[str], classify: Classify = kind_of) -> Message:
    """Return what a document says.

    Args:
        root: of the document.
        pending: ids of the requests that were not answered yet.
        classify: tells the kind of a notification by its labels.
    """
    elements = _flat(root)
    keepalive, error = _only_first(elements, "keepalive"), _only_first(elements, "errormessage")
    announced = None if keepalive is None else Keepalive(_keepalive_time(keepalive))
    response = root if plain(root.name) == "response" else _child(root, "response")
    reason, code = "", ""
    if error is not None:
        reason = ": ".join(filter(None, (_attribute(error, "description").strip(), error.text.strip())))
    if response is not None:
        code = _attribute(response, "code").strip()
        request_id = _echoed_id(root, response)
        if request_id and request_id in pending:
            return Message(Answer(request_id, code, reason), announced)
    failed = reason or ("" if not code or Answer("", code, "").is_success else f"code {code}")
    if not failed and elements.keys() <= _RESPONSE_PARTS and _is_bare(root):
        labels = classify(_labels(root, _first(root)))
        # A request of the server's own is not an empty response.
        if labels is None and _child(root, "request") is None:
            return Message(keepalive=announced, is_empty=True)
    return Message(
        keepalive=announced, notifications=tuple(_notifications(root, elements, classify)), error=failed
    )


def _is_bare(root: Element) -> bool:
    elements = [root]
    for element in elements:
        if any(key.lower() not in _RESPONSE_ATTRIBUTES for key in element.attributes):
            return False
        elements.extend(element.children)
    return True


def _keepalive_time(element: Element) -> str:
    inner = _child(element, "time")
    return (_attribute(element, "time") or (inner.text if inner else "") or element.text).strip()


def _echoed_id(root: Element, response: Element) -> str:
    # The tolerant reader leaves the echo beside a response whose start tag was closed too early (3.5).
    echo = _child(response, "request") or _child(root, "request")
    nested = _attribute(echo, "id") if echo is not None else ""
    return (nested or _attribute(response, "id")).strip()


def _notifications(
    root: Element, elements: Mapping[str, Sequence[Element]], classify: Classify
) -> Iterator[Notification]:
    parts = _parts(root) if _are_several(elements) else None
    if parts is None:
        yield _notification([root], classify(_labels(root, _first(root))))
        return
    for first, calls in parts:
        yield _notification(calls, classify([*_labels(first, first), *_labels(calls[0], calls[0])]))


def tells_one_call(root: Element) -> bool:
    """Whether a document has one call or record at most, so that it can tell of no second one."""
    return not _are_several(_flat(root))


def _are_several(elements: Mapping[str, Sequence[Element]]) -> bool:
    return any(len(elements.get(name, ())) > 1 for name in _CALLS)


def _parts(root: Element) -> list[tuple[Element, list[Element]]] | None:
    """Return the elements of each call with the branch they stand in, or None where one call is told of."""
    found: list[tuple[Element, Element, str]] = []
    branches = [(child, child) for child in root.children] if plain(root.name) not in _CALLS else []
    # Grows while it is walked through: the calls may stand at any depth of envelope.
    for branch, element in branches:
        if plain(element.name) not in _CALLS:
            branches.extend((branch, child) for child in element.children)
        elif own_id := _own_id(element):
            found.append((branch, element, own_id))
    if not any(
        len({own_id for _, element, own_id in found if plain(element.name) == name}) > 1 for name in _CALLS
    ):
        return None
    parts: dict[str, tuple[Element, list[Element]]] = {}
    for branch, element, own_id in found:
        parts.setdefault(own_id, (branch, []))[1].append(element)
    return list(parts.values())


def _own_id(element: Element) -> str:
    inner = _child(element, "id") or _child(element, "ccdrid")
    return clean_id(_attribute(element, "id") or (inner.text if inner else ""))


def _notification(elements: Sequence[Element], kind: Kind | None) -> Notification:
    reader = _FieldReader()
    for element in elements:
        reader.read(element, "", "", 0)
    return Notification(kind, clean_id(reader.call_id()), reader.fields())


def _labels(root: Element, first: Element) -> list[str]:
    # verba.md 3.3, step 3: never from CDR fields, whose names contain `start` and `end` too.
    labels: list[str] = []
    for element in (first, *first.children, *root.children):
        name = plain(element.name)
        if (element is first and name != "verbacdr") or name in LABEL_ELEMENTS:
            labels.append(element.name)
            labels += [value for key, value in element.attributes.items() if key.lower() in LABEL_ATTRIBUTES]
    return labels


def _first(root: Element) -> Element:
    return root.children[0] if plain(root.name) == "verbaapi" and root.children else root


def _child(element: Element, name: str) -> Element | None:
    return next((child for child in element.children if plain(child.name) == name), None)


def _flat(root: Element) -> dict[str, list[Element]]:
    """Return all elements by plain name."""
    found: dict[str, list[Element]] = {}
    elements = [root]
    # Grows while it is walked through; much faster than a generator for each level.
    for element in elements:
        name = plain(element.name)
        if name in found:
            found[name].append(element)
        else:
            found[name] = [element]
        if element.children:
            elements += element.children
    return found


def _only_first(elements: Mapping[str, Sequence[Element]], name: str) -> Element | None:
    return elements[name][0] if name in elements else None


def _attribute(element: Element, name: str) -> str:
    for key, value in element.attributes.items():
        if key.lower() == name:
            return value
    return ""


def clean_id(text: str) -> str:
    """Return an identifier as ids are compared: trimmed, without braces, in lower case (verba.md 3.3)."""
    return text.strip().strip("{}").strip().lower()


class _FieldReader:
    """Collects the fields and the possible identifiers of one call from elements and attributes."""

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        self._told: list[tuple[str, str]] = []

    def call_id(self) -> str:
        """Return the identifier that stands in the best place (verba.md 3.3)."""
        return self._ids[min(self._ids)] if self._ids else ""

    def fields(self) -> tuple[tuple[str, str], ...]:
        """Return the fields in order; documented spellings win over others, and nothing is dropped."""
        fields: dict[str, str] = {}
        numbers: dict[str, int] = {}
        own = {name for name, value in self._told if value}
        for raw_name, value in self._told:
            name = documented_name(raw_name) or raw_name
            if name != raw_name and (name in own or fields.get(name)):
                name = raw_name
            if not fields.get(name):
                fields[name] = value
            elif value and fields[name] != value:
                number = numbers.get(name, 1) + 1
                while f"{name}.{number}" in fields:
                    number += 1
                numbers[name] = number
                fields[f"{name}.{number}"] = value
        return tuple(fields.items())

    def read(self, element: Element, parent: str, prefix: str, depth: int) -> None:
        """Take in an element and all below it.

        Args:
            element: to read.
            parent: plain name of the element it stands in.
            prefix: names of the groups it stands in, each with a dot behind it.
            depth: how far below the document's root; what the first two levels are called is not known.
        """
        name = plain(element.name)
        if name in _NO_FIELDS:
            return
        is_call = name in _CALLS
        is_envelope = name in _ENVELOPE or (depth <= 1 and not is_call and parent not in _CALLS)
        for key, value in element.attributes.items():
            self._note_attribute_id(name, plain(key), value.strip())
            # Words that tell the kind, and ids of requests, are no fields of the call.
            if not is_envelope or plain(key) not in _ENVELOPE_ATTRIBUTES:
                own_prefix = prefix if is_call or is_envelope else f"{prefix}{element.name}."
                self._tell(own_prefix, key, value.strip())
        if element.children:
            inner = prefix if is_envelope or is_call else f"{prefix}{element.name}."
            for child in element.children:
                text = child.text.strip()
                if inner or child.children or child.attributes or not text or plain(child.name) in _SPECIAL:
                    self.read(child, name, inner, depth + 1)
                else:
                    # By far the most elements are plain fields.
                    self._told.append((child.name, text))
            return
        text = element.text.strip()
        if text:
            self._note_text_id(name, parent, text)
        elif is_call or element.attributes or not (parent in _CALLS or documented_name(element.name)):
            # An empty element is a field only where a field is expected.
            return
        self._tell(prefix, element.name, text)

    def _note_attribute_id(self, name: str, attribute: str, value: str) -> None:
        if attribute == "id" and name == "call":
            self._offer(0, value)
        elif attribute in ("callid", "ccdrid"):
            self._offer(4, value)

    def _note_text_id(self, name: str, parent: str, text: str) -> None:
        if name == "id" and parent == "call":
            self._offer(1, text)
        elif name == "id" and parent == "verbacdr":
            self._offer(2, text)
        elif name == "ccdrid":
            self._offer(3 if parent == "verbacdr" else 6, text)
        elif name == "callid":
            self._offer(5, text)

    def _offer(self, rank: int, value: str) -> None:
        if value:
            self._ids.setdefault(rank, value)

    def _tell(self, prefix: str, name: str, value: str) -> None:
        if prefix:
            whole = f"{prefix}{name}"
            in_group = any(plain(part) in _GROUPS for part in prefix.split("."))
            is_own = plain(name) in ("id", "state") or documented_name(name) is None
            if in_group or is_own or documented_name(whole):
                name = whole
        self._told.append((name, value))
