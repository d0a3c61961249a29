"""The calls of a simulated HTTP Business API: how they are searched and looked up (verba.md 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo

from recmon.simulators.verba_http_documents import utc_time

Record = Mapping[str, str]
"""A call detail record by documented names, `ccdr_id` among them; times are UTC, `end_time` empty while it
goes on."""


class Refused(Exception):
    """An error code is the answer."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(code)
        self.code = code
        self.words = words


class Query:
    """The parameters of a request.

    Args:
        pairs: in the order of the request.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)

    def text(self, name: str) -> str:
        """Return the first value of a name, or an empty text."""
        return next(iter(self.texts(name)), "")

    def texts(self, name: str) -> list[str]:
        """Return all values of a name."""
        return [value for key, value in self._pairs if key == name]

    def names(self) -> set[str]:
        """Return the names that occur."""
        return {key for key, _ in self._pairs}

    def required(self, name: str) -> str:
        """Return the first value of a name.

        Raises:
            Refused: it is missing or empty.
        """
        value = self.text(name)
        if not value:
            raise Refused("-20", f"The parameter {name} is missing.")
        return value

    def number(self, name: str, default: int | None) -> int | None:
        """Return a value as a whole number.

        Raises:
            Refused: it is none.
        """
        value = self.text(name)
        if not value:
            return default
        if not value.isdecimal():
            raise Refused("-20", f"The parameter {name} is not a number.")
        return int(value)


class CallTable:
    """Searches what the simulated server knows.

    Args:
        calls: returns all calls.
    """

    def __init__(self, calls: Callable[[], Iterable[Record]]) -> None:
        self._calls = calls

    def search(self, query: Query, zone: tzinfo, *, ignores_paging: bool) -> list[Record]:
        """Return the rows that a search asks for.

        Args:
            query: its parameters.
            zone: of the times in it.
            ignores_paging: send everything, whatever page is asked for.
        """
        try:
            begin, end = (utc_time(query.required(name), zone) for name in ("start", "end"))
        except ValueError as error:
            raise Refused("-20", f"A parameter is {error}.") from None
        status = query.text("status") or "recorded"
        if status not in ("recorded", "ongoing"):
            raise Refused("-20", "The parameter status is not one that a search knows.")
        rows = [
            call
            for call in self._calls()
            if begin <= _start(call) <= end
            and is_ongoing(call) == (status == "ongoing")
            and (query.text("secondary") == "1" or call.get("secondary", "").lower() != "true")
            and _matches(call, query.texts("anynum"), "caller_id")
            and _matches(call, query.texts("anyname"), "name")
        ]
        # The server's own order, and fields to filter by, are assumptions.
        order = query.text("orderby") or "start_time"
        rows.sort(key=lambda call: (call.get(order, ""), call["ccdr_id"]))
        if query.text("order") == "desc":
            rows.reverse()
        if ignores_paging:
            return rows
        first = query.number("pagefirst", 0) or 0
        length = query.number("pagelen", None)
        return rows[first:] if length is None else rows[first : first + length]

    def find(self, query: Query, *names: str) -> Record:
        """Return the one call that is asked for by an id or an extension.

        Args:
            query: the parameters.
            names: of parameters that hold the server's own id.

        Raises:
            Refused: there is none, or more than one.
        """
        if extension := query.text("extension"):
            found = self._of_extension(extension, query.required("status").split(","))
        else:
            fields = dict.fromkeys(names, "ccdr_id") | {
                "platformCallID": "platform_call_id",
                "nativeID": "native_id",
                "meetingID": "meeting_id",
            }
            asked = next(((fields[name], query.text(name)) for name in fields if query.text(name)), None)
            if asked is None:
                raise Refused("-20", "No parameter says which call is meant.")
            field, value = asked
            found = [call for call in self._calls() if call.get(field, "").lower() == value.lower()]
        if not found:
            raise Refused("-50", "The call cannot be found.")
        if len(found) > 1:
            raise Refused("-20", "More than one call matches.")
        return found[0]

    def with_id(self, call_id: str) -> Record:
        """Return the call with the server's own id.

        Raises:
            Refused: there is none.
        """
        return self.find(Query((("callID", call_id),)), "callID")

    def _of_extension(self, extension: str, states: list[str]) -> list[Record]:
        unknown = set(states) - {"ongoing", "next", "last"}
        if unknown:
            raise Refused("-20", "The parameter status is not one that a look-up knows.")
        sides = ("source_caller_id", "destination_caller_id")
        own = [call for call in self._calls() if extension in (call.get(side) for side in sides)]
        found = [call for call in own if is_ongoing(call)] if "ongoing" in states else []
        finished = [call for call in own if not is_ongoing(call)]
        if "last" in states and finished and not found:
            found = [max(finished, key=lambda call: call["end_time"])]
        return found


def is_ongoing(call: Record) -> bool:
    """Tell whether a call goes on."""
    return not call.get("end_time")


def _start(call: Record) -> datetime:
    return datetime.fromisoformat(call["start_time"]).replace(tzinfo=UTC)


def _matches(call: Record, wanted: list[str], field: str) -> bool:
    # That one of several values is enough is an assumption.
    texts = [call.get(f"{side}_{field}", "").lower() for side in ("source", "destination")]
    return not wanted or any(value.lower() in text for value in wanted for text in texts)
