from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import permutations

import pytest

from recmon.domain.calls import CallState, Direction
from recmon.domain.events import CallEnded, CallUpdated, RecordingTold, Unrecognised
from recmon.errors import DownloadPostponed, HookUnreadable, RecordingForbidden, RecordingMissing
from recmon.protocol.http import HttpResponse
from tests.telephony import AT, SECRETS, calls_after, parser_of, request, sample
from tests.telephony_flows import flows_of, play

TOKEN = SECRETS["CRM_TOKEN"]


def form_of(**fields):
    return {"crm_token": TOKEN, **fields}


def event(kind, user="anna", **fields):
    return form_of(
        cmd="event", type=kind, callid="c-1", phone="79990000111", user=user, direction="in", **fields
    )


@pytest.mark.parametrize("token", [None, "", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
def test_a_wrong_token_is_refused(token):
    form = {"cmd": "history"} | ({} if token is None else {"crm_token": token})
    assert parser_of("megafon").verify(request(form)) == "crm_token is wrong or missing"


def test_the_right_token_is_taken_from_a_form_or_from_json():
    parser = parser_of("megafon")
    assert parser.verify(request(event("INCOMING"))) is None
    assert parser.verify(request(json.dumps(event("INCOMING")).encode())) is None
    assert parser.verify(request(b'{"crm_token": ')) is not None


def test_history_is_end_and_recording_at_once():
    parser = parser_of("megafon")
    result = parser.parse(request(sample("megafon-history.form")))
    ended, told = result.events
    assert isinstance(ended, CallEnded)
    assert isinstance(told, RecordingTold)
    call = calls_after([result])["c-1"]
    assert (call.state, call.direction, call.cause) == (CallState.ENDED, Direction.INCOMING, "answered")
    assert call.started_at == datetime(2026, 11, 21, 9, 14, 0, tzinfo=UTC)
    assert (call.duration_s, call.is_approximate) == (62, False)
    assert (call.caller.number, call.callee.number) == ("79990000111", "204")
    assert told.facts.native_id == "c-1"
    assert told.duration_s == 62
    link = "https://pbx.example.org/records/c-1.mp3"
    assert json.loads(told.locator) == {"provider": "megafon", "call": {"link": link}}
    # Neither the token nor the link stands where people and logs see it.
    assert TOKEN not in repr(result)
    assert not any(link in value for _, value in call.cdr.fields)
    assert b"c-1.mp3" not in told.message.data


def test_every_order_of_the_messages_gives_the_same_call():
    forms = [event("INCOMING", ext="204"), event("ACCEPTED", ext="204"), event("COMPLETED", ext="204")]
    bodies = [request(form) for form in forms] + [request(sample("megafon-history.form"))]
    wanted = None
    for order in permutations(bodies):
        parser = parser_of("megafon")
        call = calls_after([parser.parse(body) for body in order])["c-1"]
        facts = (
            call.state,
            call.direction,
            call.caller,
            call.callee,
            call.cause,
            call.started_at,
            call.ended_at,
        )
        wanted = wanted or facts
        assert facts == wanted


def test_a_colleague_took_the_call():
    parser = parser_of("megafon")
    steps = [
        event("INCOMING", "anna"),
        event("INCOMING", "boris"),
        event("ACCEPTED", "anna"),
        event("CANCELLED", "boris"),
    ]
    results = [parser.parse(request(form)) for form in steps]
    call = calls_after(results)["c-1"]
    assert (call.state, call.callee.number) == (CallState.CONNECTED, "anna")
    results.append(parser.parse(request(event("COMPLETED", "anna"))))
    assert calls_after(results)["c-1"].state is CallState.ENDED


def test_nobody_took_the_call():
    parser = parser_of("megafon")
    steps = [event("INCOMING", "anna"), event("INCOMING", "boris"), event("CANCELLED", "anna")]
    results = [parser.parse(request(form)) for form in steps]
    assert calls_after(results)["c-1"].state is CallState.RINGING
    last = request(event("CANCELLED", "boris"))
    results.append(parser.parse(last))
    assert calls_after(results)["c-1"].state is CallState.ENDED
    # It comes again when it could not be stored, and says the same.
    assert parser.parse(last).events == results[-1].events


def test_a_cancelled_leg_that_was_never_seen_ends_nothing():
    (told,) = parser_of("megafon").parse(request(event("CANCELLED"))).events
    assert isinstance(told, CallUpdated)


def test_an_outgoing_call_is_the_operators():
    form = form_of(cmd="event", type="OUTGOING", callid="c-2", phone="79990000111", user="anna", ext="204")
    call = calls_after([parser_of("megafon").parse(request(form))])["c-2"]
    assert (call.direction, call.state) == (Direction.OUTGOING, CallState.RINGING)
    assert (call.caller.number, call.callee.number) == ("204", "79990000111")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("Success", "answered"),
        ("success", "answered"),
        ("Missed", "no answer (Missed)"),
        ("Cancel", "cancelled"),
        ("BUSY", "busy"),
        ("NotAvailable", "failed (NotAvailable)"),
        ("NotAllowed", "failed (NotAllowed)"),
        ("NotFound", "failed (NotFound)"),
        ("Teleported", "Teleported"),
    ],
)
def test_statuses_in_words(said, cause):
    form = form_of(cmd="history", type="in", callid="c-1", phone="79990000111", user="anna", status=said)
    assert calls_after([parser_of("megafon").parse(request(form))])["c-1"].cause == cause


def test_who_is_this_is_answered_with_nobody():
    result = parser_of("megafon").parse(request(form_of(cmd="contact", callid="c-1", phone="79990000111")))
    assert result.events == ()
    assert (result.answer.body, result.answer.content_type) == (b"{}", "application/json")


def test_a_rating_is_nothing_for_us_and_an_unknown_command_is_shown():
    parser = parser_of("megafon")
    assert parser.parse(request(form_of(cmd="rating", callid="c-1", rating="5"))).events == ()
    (told,) = parser.parse(request(form_of(cmd="dance"))).events
    assert isinstance(told, Unrecognised)
    (told,) = parser.parse(request(event("TELEPORTED"))).events
    assert isinstance(told, Unrecognised)
    assert TOKEN not in told.excerpt


def test_a_message_without_a_call_is_refused():
    with pytest.raises(HookUnreadable) as caught:
        parser_of("megafon").parse(request(form_of(cmd="event", type="INCOMING", phone="79990000111")))
    assert caught.value.status == 422


LOCATOR = json.dumps({"provider": "megafon", "call": {"link": "https://pbx.example.org/records/c-1.mp3"}})


def test_the_link_is_fetched_directly():
    head, (asked,) = play(flows_of("megafon"), LOCATOR, AT, HttpResponse(200, {}, b"ID3" + b"\0" * 61))
    assert (asked.origin, asked.target) == ("https://pbx.example.org", "/records/c-1.mp3")
    assert "Authorization" not in dict(asked.headers)
    assert head.extension == ".mp3"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, RecordingMissing),
        (410, RecordingMissing),
        (403, RecordingForbidden),
        (503, DownloadPostponed),
    ],
)
def test_a_link_that_died_has_its_reason(status, error):
    with pytest.raises(error):
        play(flows_of("megafon"), LOCATOR, AT, HttpResponse(status, {}, b""))
