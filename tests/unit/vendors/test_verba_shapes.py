"""Messages of a known shape are read as the general reader reads them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmon.protocol.xml import read_document
from recmon.vendors.verba import shapes
from recmon.vendors.verba.classification import Kind, classifier, kind_of
from recmon.vendors.verba.messages import read_message
from recmon.vendors.verba.shapes import KnownShapes

TEMPLATES = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<VerbaApi>\n <Event type="CallStart">\n  <Call id="{0}"/>\n'
    "  <verbacdr><ccdr_id>{0}</ccdr_id><source_name>{1}</source_name>"
    "<destination_caller_id>{2}</destination_caller_id></verbacdr>\n </Event>\n</VerbaApi>",
    '<VerbaApi><CallEnd><Call id="{0}" source_caller_id="{1}" end_time="{2}"/></CallEnd></VerbaApi>',
    '<VerbaApi><Notification name="update"><Call><id>{0}</id><SourceName>{1}</SourceName>'
    "<source_name>{2}</source_name></Call></Notification></VerbaApi>",
    '<VerbaApi><Event state="{1}"><Call id="{0}"><x>{2}</x></Call></Event></VerbaApi>',
    '<VerbaApi><Event><Call id="{0}"/><note>{1}</note><note>{2}</note></Event></VerbaApi>',
    '<VerbaApi><Response code="0"><Request type="{1}" id="{0}"/></Response></VerbaApi>',
    '<VerbaApi><Event type="end"><Call id="{0}"/><Call id="{1}"/></Event></VerbaApi>',
    "<VerbaApi><Event type='new'><Call id='{0}' note='a=\"{1}\"'><x>{2}</x></Call></Event></VerbaApi>",
    '<verbacdr state="1"><ccdr_id>{0}</ccdr_id><shared_item><id>{1}</id><title>{2}</title></shared_item>'
    "</verbacdr>",
    '<VerbaApi><Event type="begin"><Call id="{0}"><x>say "{1}" now {2}</x></Call></Event>',
    '<VerbaApi xmlns="{2}"><Event type="begin"><Call id="{0}"><x>{1}</x></Call></Event></VerbaApi>',
    '<?xml version="1.0" encoding="{2}"?><VerbaApi><CallStart><Call id="{0}"><x>{1}</x></Call></CallStart>'
    "</VerbaApi>",
)

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        (
            *("", " ", "1", "start", "CallEnd", "UTF-8", "cp1251", "Zoë Ñandú", "{A-1}", "o'clock", 'x="y'),
            *("a&amp;b", "&#65;", "\x00", "\x01", "\x02", "\ue0000\ue001", "\ufffe", "\u2028", "a\rb"),
            *("a>b", "]]>", "<b/>"),
        )
    ),
)


def generally(data: bytes) -> object:
    return read_message(read_document(data), ()).notifications


def compared(documents: list[bytes]) -> int:
    """Read documents in both ways; return how many were of a known shape."""
    known = KnownShapes(kind_of)
    count = 0
    for data in documents:
        notification = known.read(data)
        if notification is not None:
            assert (notification,) == generally(data), data
            count += 1
    return count


@settings(max_examples=1_500, deadline=None)
@given(
    st.sampled_from(TEMPLATES),
    st.tuples(texts, texts, texts),
    st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=4),
)
def test_both_readers_say_the_same(
    template: str, first: tuple[str, str, str], others: list[tuple[str, str, str]]
) -> None:
    # The first twice, so that its shape becomes known; then the others, of the same template.
    filled = [template.format(*values) for values in (first, first, first, *others)]
    plain = [template.format(*values) for values in itertools.repeat(("id-1", "one", "two"), 2)]
    documents = [text.encode("utf-8", "surrogatepass") for text in (*plain, *filled)]
    compared(documents)


@pytest.mark.parametrize("template", TEMPLATES[:3])
def test_usual_notifications_are_of_a_known_shape(template: str) -> None:
    documents = [template.format(f"id-{number}", f"Añna {number}", "2").encode() for number in range(10)]
    assert compared(documents) == 8


def test_words_that_tell_the_kind_belong_to_the_shape() -> None:
    known = KnownShapes(classifier({"Dropped": "end"}))
    seen = []
    for kind in ("CallStart", "CallEnd", "Dropped", "Held") * 3:
        data = f'<VerbaApi><Event type="{kind}"><Call id="a"/></Event></VerbaApi>'.encode()
        notification = known.read(data)
        seen.append(notification.kind if notification else "general")
    assert seen[:8] == ["general"] * 8
    assert seen[8:] == [Kind.START, Kind.END, Kind.END, None]


def test_shapes_that_are_kept_are_bounded() -> None:
    known = KnownShapes(kind_of)
    for number in range(300):
        data = f'<VerbaApi><CallStart{number}><Call id="a"/></CallStart{number}></VerbaApi>'.encode()
        for _ in range(3):
            known.read(data)
    assert len(known._shapes) == shapes.MOST_SHAPES
    assert len(known._seen_once) <= shapes.MOST_SHAPES


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE a><VerbaApi><CallStart><Call id="a"/></CallStart></VerbaApi>',
        b'<VerbaApi><CallStart><Call id="a"/></CallStart><!-- x --></VerbaApi>',
        b'<VerbaApi><CallStart><Call id="a"></CallStart></VerbaApi>',
        b'<VerbaApi><CallStart><Call id="a" id="b"/></CallStart></VerbaApi>',
        b'<VerbaApi><Response code="0"><Request id="1"/></Response></VerbaApi>',
        b'<VerbaApi><Call id="a"/><Keepalive time="10"/></VerbaApi>',
        b'<VerbaApi><CallStart><Call id="\xff"/></CallStart></VerbaApi>',
        b'<VerbaApi><CallStart><Call id="a"/>' + b"<x>1</x>" * 3000 + b"</CallStart></VerbaApi>",
    ],
)
def test_what_is_not_plain_is_left_to_the_general_reader(data: bytes) -> None:
    known = KnownShapes(kind_of)
    assert [known.read(data) for _ in range(5)] == [None] * 5
