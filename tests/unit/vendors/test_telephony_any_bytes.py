"""Whatever arrives, an adapter understands it or says in its one way that it does not."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmon.errors import HookUnreadable
from recmon.vendors.hooks import HookResult
from tests.telephony import SAMPLES, parser_of, request

ADAPTERS = ("generic", "zadarma", "mango", "megafon", "twilio")
PATHS = ("", "events/call", "events/summary", "events/recording", "events/record/added", "x/events/call")
PARSERS = {name: parser_of(name) for name in ADAPTERS}
BODIES = [path.read_bytes().rstrip(b"\n") for path in sorted(SAMPLES.iterdir())]

FIELDS = (
    *("event", "call_start", "pbx_call_id", "caller_id", "called_did", "internal", "destination"),
    *("duration", "disposition", "is_recorded", "call_id_with_rec", "cmd", "type", "callid", "phone"),
    *("user", "start", "link", "status", "CallSid", "RecordingSid", "RecordingUrl", "RecordingStatus"),
    *("CallStatus", "CallDuration", "Direction", "json", "vpbx_api_key", "sign"),
)
WORDS = (
    *("NOTIFY_START", "NOTIFY_INTERNAL", "NOTIFY_ANSWER", "NOTIFY_END", "NOTIFY_OUT_END", "NOTIFY_RECORD"),
    *("event", "history", "contact", "rating", "INCOMING", "CANCELLED", "in", "out", "completed", "ringing"),
    *("1", "0", "-1", "1e999", "9" * 300, "20261121T091400Z", "2026-11-21 10:00:00", "https://a.example/x"),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MANGO = st.dictionaries(
    st.sampled_from(
        (
            *("entry_id", "call_id", "seq", "call_state", "from", "to", "timestamp", "location", "transfer"),
            *("recording_id", "recording_state", "completion_code", "recipient", "call_direction"),
            *("talk_time", "end_time", "create_time", "disconnect_reason", "line_number"),
        )
    ),
    JSON | st.fixed_dictionaries({"extension": JSON, "number": JSON}),
    max_size=10,
)
GENERIC = st.fixed_dictionaries(
    {},
    optional={
        part: st.dictionaries(
            st.sampled_from(
                (
                    *("event", "direction", "srcPhone", "dstPhone", "srcPhoneExt", "dstPhoneExt", "callId"),
                    *("at", "duration", "disposition", "call"),
                )
            ),
            JSON | st.sampled_from(("in", "out", "start", "end")) | st.fixed_dictionaries({"url": JSON}),
        )
        | JSON
        for part in ("event", "callRecord")
    },
)


def holds(name, asked):
    """Verify and parse; anything but a result or a refusal in words is a fault."""
    parser = PARSERS[name]
    reason = parser.verify(asked)
    assert reason is None or reason
    outcome = parsed(parser, asked)
    if isinstance(outcome, HookResult):
        assert 200 <= outcome.answer.status <= 599
    else:
        assert outcome.status in (400, 422)
        assert outcome.detail


def parsed(parser, asked):
    try:
        return parser.parse(asked)
    except HookUnreadable as error:
        return error


@pytest.mark.parametrize("name", ADAPTERS)
@given(body=st.binary(max_size=300), path=st.sampled_from(PATHS), method=st.sampled_from(("POST", "GET")))
def test_any_bytes(name, body, path, method):
    holds(name, request(body, path=path, method=method))


@pytest.mark.parametrize("name", ADAPTERS)
@given(
    body=st.sampled_from(BODIES),
    at=st.integers(0, 400),
    change=st.binary(max_size=8),
    cut=st.integers(0, 8),
    path=st.sampled_from(PATHS),
)
def test_a_sample_that_was_damaged(name, body, at, change, cut, path):
    holds(name, request(body[:at] + change + body[at + cut :], path=path))


@pytest.mark.parametrize("name", ["zadarma", "megafon", "twilio", "mango"])
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(FIELDS), st.sampled_from(WORDS) | st.text(max_size=20)), max_size=14
    ),
    path=st.sampled_from(PATHS),
)
def test_any_form(name, pairs, path):
    clean = [(key, value.encode("utf-8", "replace").decode()) for key, value in pairs]
    holds(name, request(clean, path=path))
    holds(name, request(method="GET", query=clean, path=path))


@settings(max_examples=200)
@given(message=MANGO | JSON, path=st.sampled_from(PATHS))
def test_any_message_of_mango(message, path):
    holds("mango", request(urlencode({"json": json.dumps(message)}).encode(), path=path))


@settings(max_examples=200)
@given(message=GENERIC | st.lists(GENERIC, max_size=4) | JSON)
def test_any_message_of_our_own(message):
    holds("generic", request(json.dumps(message).encode()))


@given(message=JSON)
def test_any_json_of_megafon_and_twilio(message):
    body = json.dumps(message).encode()
    holds("megafon", request(body))
    holds("twilio", request(body, query=[("bodySHA256", "0")]))


GOOD_RECORD = {
    "direction": "in",
    "srcPhone": "1",
    "callId": "c",
    "call": {"url": "https://pbx.example.org/x"},
}


@given(event=JSON | st.dictionaries(st.text(max_size=12), JSON, max_size=6))
def test_no_event_costs_the_call_record_beside_it(event):
    body = json.dumps({"event": event, "callRecord": GOOD_RECORD}).encode()
    told = PARSERS["generic"].parse(request(body)).events
    assert [e.facts.native_id for e in told if type(e).__name__ == "RecordingTold"] == ["c"]
