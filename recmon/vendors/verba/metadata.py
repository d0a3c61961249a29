"""Metadata files: the call detail record that stands as XML beside a recording (verba.md 4.1, 4.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import tzinfo

from recmon.domain.calls import CallState
from recmon.domain.events import CallFacts
from recmon.errors import MalformedMessage
from recmon.protocol.xml import Element, read_document
from recmon.vendors.verba.cdr import plain
from recmon.vendors.verba.http_replies import all_of
from recmon.vendors.verba.messages import Notification, read_message
from recmon.vendors.verba.translate import call_facts

_RECORD = "verbacdr"
_MARKS = re.compile(rb"verba_?cdr|native_?id", re.IGNORECASE)


def read_metadata(data: bytes, zone: tzinfo) -> tuple[CallFacts, ...]:
    """Return the calls that a metadata file is about; none where it is another kind of XML.

    What its root is called is not documented. Taken is any document with a `verbacdr` element, or whose root
    has both `id` and `native_id` among its children (verba.md 4.1, inferred).

    Args:
        data: the whole file.
        zone: of times without an offset; the files' own zone is not documented (verba.md 4.4).

    Raises:
        MalformedMessage: it holds the words of a record but cannot be read, or names no call.
    """
    # In UTF-16 the same letters stand between zeros.
    if not _MARKS.search(data.replace(b"\0", b"")):
        return ()
    # White space in front of an XML declaration is against the rules, and does no harm.
    root = read_document(data.lstrip())
    return tuple(_facts(record, zone) for record in _records(root))


def _records(root: Element) -> Iterator[Element]:
    if found := list(all_of(root, _RECORD)):
        yield from found
        return
    names = {plain(child.name) for child in root.children}
    if "nativeid" in names and names & {"id", "ccdrid"}:
        # Under its documented name, direct children alone count for the call's id.
        yield Element(_RECORD, root.attributes, root.text, root.children)


def _facts(record: Element, zone: tzinfo) -> CallFacts:
    notification = next(iter(read_message(record, ()).notifications), None)
    if notification is None or not notification.call_id:
        raise MalformedMessage("its record has no call id")
    facts = call_facts(notification, zone, has_ended=_has_ended(notification))
    return facts if facts.state else replace(facts, state=CallState.ENDED)


def _has_ended(notification: Notification) -> bool:
    # Only `1` is documented, for finished; a file without the attribute is written for a finished recording.
    return notification.field("state") in ("", "1") or bool(notification.field("end_time"))
