"""Reads notifications of a shape that was seen before without parsing them anew.

A server writes its notifications by the same few templates, in which only values change: the text of a leaf,
or the value of an attribute. What is left of a document without its values is its shape. Where each value of
a shape belongs is found by the general reader, which is given the document with a mark in place of each
value; a shape of which this cannot be told for certain is left to the general reader for good.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recmon.protocol.xml import read_well_formed
from recmon.vendors.verba.classification import LABEL_ATTRIBUTES, Classify, Kind
from recmon.vendors.verba.messages import Notification, clean_id, read_message, tells_one_call

MOST_SHAPES = 64
LONGEST_MESSAGE = 16 * 1024
"""A longer one is left to the general reader."""

# A value has no character that could end it or stand for another: no mark, quote, reference or line end.
_VALUE = r"([^<>&\"\x00-\x1f]++)"
_LEAF = re.compile(rf">{_VALUE}</")
# The words of some attributes tell the kind, or how to read: they belong to the shape.
_WORDS = "".join(f'(?<! {name}=")' for name in sorted(LABEL_ATTRIBUTES | {"version", "encoding", "code"}))
_ATTRIBUTE = re.compile(rf'="{_WORDS}{_VALUE}"')
_LEAF_MARK, _ATTRIBUTE_MARK = "\x01", "\x02"
_PLACE = re.compile("\ue000([0-9]+)\ue001")
_NUMBERED = re.compile(r"\.[0-9]+$")
# What may depend on more than the shape: answers, name spaces, quotes of the other kind, document types.
_UNSURE = re.compile(r"response|keepalive|errormessage|xmlns|xml:|'|<!|\ue000", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the values of a shape belong.

    Attributes:
        count: of values.
        kind: what its words say.
        call_id: place of the identifier.
        fields: name, place and, where the place is negative, the text itself.
    """

    count: int
    kind: Kind | None
    call_id: int
    fields: tuple[tuple[str, int, str], ...]


class KnownShapes:
    """The shapes of one connection's notifications.

    Args:
        classify: tells the kind of a notification by its labels.
    """

    def __init__(self, classify: Classify) -> None:
        self._classify = classify
        self._shapes: OrderedDict[str, _Shape | None] = OrderedDict()
        self._seen_once: OrderedDict[int, None] = OrderedDict()

    def read(self, data: bytes) -> Notification | None:
        """Return what a whole document tells, or None where only the general reader can say."""
        if len(data) > LONGEST_MESSAGE:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        leaves = _LEAF.split(text)
        attributes = _ATTRIBUTE.split(_LEAF_MARK.join(leaves[::2]))
        outline = _ATTRIBUTE_MARK.join(attributes[::2])
        if outline not in self._shapes:
            self._learn(outline, leaves[1::2], attributes[1::2])
            return None
        shape = self._shapes[outline]
        self._shapes.move_to_end(outline)
        values = [value.strip() for value in leaves[1::2] + attributes[1::2]]
        # Fewer values than marks: the document itself contains what looks like a mark.
        if shape is None or len(values) != shape.count or "" in values:
            return None
        if not text.isascii() and ("\ufffe" in text or "\uffff" in text):
            return None
        return Notification(
            shape.kind,
            clean_id(values[shape.call_id]),
            tuple([(name, values[at] if at >= 0 else text) for name, at, text in shape.fields]),
        )

    def _learn(self, outline: str, leaves: Sequence[str], attributes: Sequence[str]) -> None:
        # Most of what comes once never comes again, such as an outline that a value became a part of.
        seen = hash(outline)
        if seen not in self._seen_once:
            self._seen_once[seen] = None
            if len(self._seen_once) > MOST_SHAPES:
                self._seen_once.popitem(last=False)
            return
        del self._seen_once[seen]
        self._shapes[outline] = self._shape_of(outline, len(leaves), len(attributes))
        if len(self._shapes) > MOST_SHAPES:
            self._shapes.popitem(last=False)

    def _shape_of(self, outline: str, leaf_count: int, attribute_count: int) -> _Shape | None:
        marks = outline.count(_LEAF_MARK), outline.count(_ATTRIBUTE_MARK)
        if _UNSURE.search(outline) or marks != (leaf_count, attribute_count):
            return None
        marked = _filled(outline, _LEAF_MARK, range(leaf_count), ">", "</")
        marked = _filled(marked, _ATTRIBUTE_MARK, range(leaf_count, leaf_count + attribute_count), '="', '"')
        root = read_well_formed(marked.encode())
        if root is None or not tells_one_call(root):
            return None
        labels_are_fixed = True

        def classify(labels: Iterable[str]) -> Kind | None:
            nonlocal labels_are_fixed
            told = list(labels)
            labels_are_fixed = labels_are_fixed and not any(map(_PLACE.search, told))
            return self._classify(told)

        said = read_message(root, (), classify)
        if not labels_are_fixed or said.keepalive or said.error or len(said.notifications) != 1:
            return None
        (notification,) = said.notifications
        call_id = _PLACE.fullmatch(notification.call_id)
        fields = tuple(_field(name, value) for name, value in notification.fields)
        # Of two values of one name the second is left out where it is the same: that depends on the values.
        if (
            call_id is None
            or None in fields
            or any(_NUMBERED.search(name) for name, _ in notification.fields)
        ):
            return None
        return _Shape(
            leaf_count + attribute_count,
            notification.kind,
            int(call_id.group(1)),
            tuple(field for field in fields if field is not None),
        )


def _filled(outline: str, mark: str, places: Iterable[int], before: str, after: str) -> str:
    first, *rest = outline.split(mark)
    pieces = [first]
    for place, piece in zip(places, rest, strict=True):
        pieces.append(f"{before}\ue000{place}\ue001{after}{piece}")
    return "".join(pieces)


def _field(name: str, value: str) -> tuple[str, int, str] | None:
    place = _PLACE.fullmatch(value)
    if place is not None:
        return name, int(place.group(1)), ""
    return None if _PLACE.search(value) or _PLACE.search(name) else (name, -1, value)
