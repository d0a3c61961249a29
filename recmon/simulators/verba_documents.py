"""Writes the documents of a simulated recorder API, in several guessed forms where no sample is known.

The forms of notifications are assumptions (verba.md 3.3): the vendor's own could not be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from xml.sax.saxutils import escape, quoteattr

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Form(Enum):
    """How call starts and ends are written."""

    EVENT = "event"
    """`Event` with a `type`, a `Call` with its `id`, and the record as `verbacdr`."""

    REQUEST = "request"
    """Like the documented requests: `Request` with a `type`, the fields inside `Call`."""

    ELEMENT = "element"
    """An element named after the event; the fields are attributes in camel case."""

    NOTIFICATION = "notification"
    """`Notification` with an `event` in capitals, a `Call` with an `id` element, flat fields."""

    RECORD = "record"
    """A bare `verbacdr` in a response, whose fields alone tell whether the call has ended."""


def notification(form: Form, fields: Mapping[str, str], *, ended: bool) -> str:
    """Return a call start or end as a document.

    Args:
        form: which of the assumed forms.
        fields: the call detail record by documented names, `ccdr_id` among them.
        ended: whether the call ended.
    """
    call_id = fields["ccdr_id"]
    kind = "End" if ended else "Start"
    match form:
        case Form.EVENT:
            body = (
                f'  <Event type="Call{kind}">\n    <Call id={quoteattr(call_id)}/>\n'
                f"    <verbacdr>\n{_elements(fields, 6)}    </verbacdr>\n  </Event>\n"
            )
        case Form.REQUEST:
            body = (
                f'  <Request type="Call{kind}Event">\n    <Call id={quoteattr(call_id)}>\n'
                f"{_elements(fields, 6)}    </Call>\n  </Request>\n"
            )
        case Form.ELEMENT:
            attributes = "".join(f" {_camel(name)}={_attribute(value)}" for name, value in fields.items())
            body = f"  <Call{kind}ed>\n    <Call id={quoteattr(call_id)}{attributes}/>\n  </Call{kind}ed>\n"
        case Form.NOTIFICATION:
            body = (
                f'  <Notification event="CALL_{kind.upper()}">\n    <Call>\n      '
                f"<id>{escape(call_id)}</id>\n{_elements(fields, 6)}    </Call>\n  </Notification>\n"
            )
        case Form.RECORD:
            state = "1" if ended else "0"
            body = (
                f'  <Response code="0">\n    <verbacdr state="{state}">\n'
                f"{_elements(fields, 6)}    </verbacdr>\n  </Response>\n"
            )
    return f"{DECLARATION}<VerbaApi>\n{body}</VerbaApi>"


def answer(request_type: str, request_id: str, keepalive: str | None = None) -> str:
    """Return the answer to a request that was done (verba.md 2.2, 3.1)."""
    interval = "" if keepalive is None else f"    <Keepalive time={quoteattr(keepalive)}/>\n"
    return (
        f'{DECLARATION}<VerbaApi>\n  <Response code="0">\n'
        f"    <Request type={quoteattr(request_type)} id={quoteattr(request_id)}/>\n{interval}"
        "  </Response>\n</VerbaApi>"
    )


def call_list(request_type: str, request_id: str, records: Iterable[Mapping[str, str]]) -> str:
    """Return the answer to a request for calls, each as a `Call` with its record; the form is a guess."""
    calls = "".join(
        f"    <Call id={quoteattr(fields['ccdr_id'])}>\n      <verbacdr>\n{_elements(fields, 8)}"
        "      </verbacdr>\n    </Call>\n"
        for fields in records
    )
    return (
        f'{DECLARATION}<VerbaApi>\n  <Response code="0">\n'
        f"    <Request type={quoteattr(request_type)} id={quoteattr(request_id)}/>\n{calls}"
        "  </Response>\n</VerbaApi>"
    )


def call_details(request_type: str, request_id: str, fields: Mapping[str, str]) -> str:
    """Return the answer to a request for one call's details: its record as `verbacdr` (verba.md 3.4, 4.2)."""
    return (
        f'{DECLARATION}<VerbaApi>\n  <Response code="0">\n'
        f"    <Request type={quoteattr(request_type)} id={quoteattr(request_id)}/>\n"
        f"    <verbacdr>\n{_elements(fields, 6)}    </verbacdr>\n  </Response>\n</VerbaApi>"
    )


def refusal(request_type: str, request_id: str, code: str, text: str) -> str:
    """Return the answer to a request that was refused (verba.md 2.2, the probable intent)."""
    return (
        f"{DECLARATION}<VerbaApi>\n"
        f"  <Response code={quoteattr(code)} type={quoteattr(request_type)} id={quoteattr(request_id)}>\n"
        f'    <ErrorMessage description="Processing Error">{escape(text)}</ErrorMessage>\n'
        "  </Response>\n</VerbaApi>"
    )


def keepalive(interval: str) -> str:
    """Return a keep-alive (verba.md 3.2)."""
    return (
        f'{DECLARATION}<VerbaApi>\n  <Response code="0">\n    <Keepalive time={quoteattr(interval)}/>\n'
        "  </Response>\n</VerbaApi>"
    )


def _elements(fields: Mapping[str, str], indent: int) -> str:
    return "".join(
        f"{' ' * indent}<{name}>{escape(_storable(value))}</{name}>\n" for name, value in fields.items()
    )


def _attribute(value: str) -> str:
    return quoteattr(_storable(value))


def _storable(value: str) -> str:
    """Return the text without the characters that no XML document can contain."""
    return "".join(character for character in value if character >= " " or character in "\t\n\r")


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join("ID" if other == "id" else other.title() for other in others)
