from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import parse_qsl, urlencode

import pytest

from recmon.domain.calls import CallState, Direction
from recmon.domain.events import RecordingStage, Unrecognised
from recmon.errors import HookUnreadable
from recmon.protocol.http import HttpResponse
from recmon.vendors.telephony.twilio import signature
from tests.telephony import AT, calls_after, parser_of, request, sample, twilio_signature
from tests.telephony_flows import flows_of, play

URL = "https://calls.example.org/hooks/twilio?k=1"
VECTOR = {
    "CallSid": "CAdemo",
    "RecordingSid": "REdemo",
    "RecordingStatus": "completed",
    "RecordingDuration": "12",
    "RecordingUrl": "https://api.example.org/rec/REdemo",
}
SIGN = "kaZQmJ/OFRvbK9XQ3eFKKz5SkeQ="


def signed(form, sign=None, url=URL):
    return request(form, url=url, headers={"X-Twilio-Signature": sign or twilio_signature(url, form)})


def test_the_signature_vector():
    assert signature(URL, VECTOR.items(), "demo-auth-token") == SIGN
    assert twilio_signature(URL, VECTOR) == SIGN
    assert parser_of("twilio").verify(signed(VECTOR, SIGN)) is None


def test_every_field_and_the_address_are_covered():
    parser = parser_of("twilio")
    for name in VECTOR:
        assert parser.verify(signed({**VECTOR, name: "x"}, SIGN)) is not None
    assert parser.verify(signed({**VECTOR, "Further": "x"}, SIGN)) is not None
    assert parser.verify(signed(VECTOR, SIGN, url=URL + "1")) is not None
    assert parser.verify(request(VECTOR, url=URL)) is not None


def test_a_field_that_was_added_later_is_signed_and_so_accepted():
    assert parser_of("twilio").verify(signed({**VECTOR, "Added": "later"})) is None


def test_a_json_body_is_held_against_its_checksum():
    parser = parser_of("twilio")
    body = json.dumps(VECTOR).encode()
    checksum = hashlib.sha256(body).hexdigest()
    url = f"https://calls.example.org/hooks/twilio?bodySHA256={checksum}"
    headers = {"X-Twilio-Signature": twilio_signature(url, {}), "Content-Type": "application/json"}
    asked = request(body, url=url, query=[("bodySHA256", checksum)], headers=headers)
    assert parser.verify(asked) is None
    assert parser.parse(asked).events[0].recording_id == "REdemo"
    forged = request(body + b" ", url=url, query=[("bodySHA256", checksum)], headers=headers)
    assert parser.verify(forged) == "the body is not the one that was signed"


def test_a_call_and_its_recording():
    parser = parser_of("twilio")
    results = [parser.parse(signed(dict(_pairs(name)))) for name in ("ringing", "in-progress", "completed")]
    ringing = calls_after(results[:1])["CAdemo"]
    assert (ringing.state, ringing.direction) == (CallState.RINGING, Direction.INCOMING)
    assert (ringing.caller.number, ringing.callee.number) == ("+15550100111", "+15550100999")
    assert calls_after(results[:2])["CAdemo"].state is CallState.CONNECTED
    ended = calls_after(results)["CAdemo"]
    assert (ended.state, ended.cause) == (CallState.ENDED, "answered (completed)")
    (told,) = parser.parse(signed(VECTOR)).events
    assert (told.stage, told.recording_id, told.duration_s) == (RecordingStage.AVAILABLE, "REdemo", 12)
    assert told.facts.native_id == "CAdemo"
    assert told.facts.caller is None
    assert json.loads(told.locator)["call"] == {"url": "https://api.example.org/rec/REdemo", "sid": "REdemo"}


def _pairs(name):
    return parse_qsl(sample(f"twilio-{name}.form").decode())


@pytest.mark.parametrize(
    ("status", "stage", "reason"),
    [
        ("in-progress", RecordingStage.EXPECTED, None),
        ("absent", RecordingStage.FAILED, "it was too short or silent"),
        ("failed", RecordingStage.FAILED, "the provider could not encrypt or store it (error 13253)"),
    ],
)
def test_what_becomes_of_a_recording(status, stage, reason):
    form = {"CallSid": "CA1", "RecordingSid": "RE1", "RecordingStatus": status}
    if status == "failed":
        form["ErrorCode"] = "13253"
    (told,) = parser_of("twilio").parse(signed(form)).events
    assert (told.stage, told.reason, told.locator) == (stage, reason, None)


def test_another_accounts_message_is_shown_and_not_taken():
    (told,) = parser_of("twilio").parse(signed({**VECTOR, "AccountSid": "ACother"})).events
    assert isinstance(told, Unrecognised)


@pytest.mark.parametrize("url", ["", "file:///etc/hosts", "api.twilio.com/x", "https://a b/"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(HookUnreadable, match="RecordingUrl"):
        parser_of("twilio").parse(signed({**VECTOR, "RecordingUrl": url}))


FILE = HttpResponse(200, {}, b"RIFF" + b"\0" * 4 + b"WAVE" + b"\0" * 50)


def locator(url):
    return json.dumps({"provider": "twilio", "call": {"url": url, "sid": "RE1"}})


def test_the_login_goes_to_the_accounts_own_interface_alone():
    flows = flows_of("twilio", 'link_hosts = ["media.example.org"]\n')
    path = "/2010-04-01/Accounts/ACdemo/Recordings/RE1"
    head, (asked,) = play(flows, locator(f"https://api.twilio.com{path}"), AT, FILE)
    assert (head.extension, asked.origin, asked.target) == (".wav", "", f"{path}.wav")
    login = base64.b64encode(b"ACdemo:demo-auth-token").decode()
    assert dict(asked.headers)["Authorization"] == f"Basic {login}"
    for other in (
        "https://media.example.org/RE1",
        "https://api.twilio.com.evil.example/RE1",
        "https://api.twilio.com:8443/RE1",
        "http://api.twilio.com/RE1",
    ):
        _, (asked,) = play(flows, locator(other), AT, FILE)
        assert asked.origin
        assert "Authorization" not in dict(asked.headers)


def test_the_login_does_not_follow_a_redirect():
    moved = HttpResponse(307, {"location": "https://media.twilio.com/RE1.wav"}, b"")
    _, (first, second) = play(
        flows_of("twilio"), locator("https://api.twilio.com/2010-04-01/RE1"), AT, moved, FILE
    )
    assert "Authorization" in dict(first.headers)
    assert "Authorization" not in dict(second.headers)
    assert second.origin == "https://media.twilio.com"


def test_a_format_in_the_address_is_left():
    _, (asked,) = play(flows_of("twilio"), locator("https://api.twilio.com/RE1.mp3"), AT, FILE)
    assert asked.target == "/RE1.mp3"


def test_a_form_with_a_field_twice_is_signed_with_both():
    pairs = [("CallSid", "CA1"), ("X", "1"), ("X", "2")]
    expected = signature(URL, pairs, "demo-auth-token")
    asked = request(urlencode(pairs).encode(), url=URL, headers={"X-Twilio-Signature": expected})
    assert parser_of("twilio").verify(asked) is None
