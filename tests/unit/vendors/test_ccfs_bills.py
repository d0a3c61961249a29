"""Past calls out of the files that CC-FS builds: what is asked, when, and how tables of any form are read."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import CallFacts
from recmon.errors import (
    AnswerNotReady,
    AuthenticationFailed,
    DownloadPostponed,
    MalformedMessage,
    MessageTooLong,
    RequestRefused,
)
from recmon.protocol.http import HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import Secret, SecretRef
from recmon.vendors.base import CallPage, TimeWindow
from recmon.vendors.huawei_ccfs import ADAPTER, bill_files
from recmon.vendors.huawei_ccfs.bill_files import CALL_COLUMNS, RECORD_COLUMNS, read_bills
from recmon.vendors.huawei_ccfs.bills import GIVEN_UP_AFTER, BillFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions

SHANGHAI = ZoneInfo("Asia/Shanghai")
START = ("dev", "acc", "1", "501", "1605492949-1447", "+4930123", "501")
QUEUED = (
    *START,
    "2026-11-20 10:00:00",
    "2026-11-20 10:00:20",
    *[""] * 4,
    "1",
    "21",
    "0",
    "7",
    "0",
    "7",
    "3",
    "10",
)
TALKED = (
    *START,
    "2026-11-20 10:00:20",
    "2026-11-20 10:00:21",
    "2026-11-20 10:00:21",
    "2026-11-20 10:00:27",
    "2026-11-20 10:00:27",
    "2026-11-20 10:03:00",
    *("2", "501", "0", "531", "-1", "7", "1", "21"),
)
RECORD = (
    *START,
    "2026-11-20 10:00:27",
    "2026-11-20 10:03:00",
    "/1/1/record/7/20261120/501/2043295.wav",
    "2",
    "0",
    "X:\\17\\0\\20261120\\15470\\2043295.V3",
    *("7", "0", "5", "21", "21"),
)


def table(*rows: Sequence[str], columns: Sequence[str] | None = None, **form: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, **form)
    writer.writerows([columns, *rows] if columns else rows)
    return text.getvalue()


def packed(**tables: str | bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tables.items():
            archive.writestr(f"20261121_{name}.csv", content)
    return data.getvalue()


def one(data: bytes) -> CallFacts:
    (facts,) = read_bills(data, SHANGHAI)
    return facts


WHOLE = {
    "call_1": table(QUEUED, TALKED, columns=CALL_COLUMNS),
    "record_1": table(RECORD, columns=RECORD_COLUMNS),
}


# Reading


def test_a_call_has_its_legs_its_times_and_its_recording() -> None:
    facts = one(packed(**WHOLE))
    assert facts.native_id == "1605492949-1447"
    assert facts.state is CallState.ENDED
    assert (facts.caller, facts.callee) == (Party("+4930123"), Party("501"))
    assert facts.direction is Direction.INCOMING
    assert facts.started_at == datetime(2026, 11, 20, 2, 0, 0, tzinfo=UTC)
    assert facts.answered_at == datetime(2026, 11, 20, 2, 0, 27, tzinfo=UTC)
    assert facts.ended_at == datetime(2026, 11, 20, 2, 3, 0, tzinfo=UTC)
    assert facts.cause == "code 531"
    assert facts.cdr.get("leg1.device_type") == "1"
    assert facts.cdr.get("leg2.device_no") == "501"
    assert facts.cdr.get("leg1.release_cause") == "7"
    assert facts.cdr.get("release_cause") == "531"
    assert facts.cdr.get("original_file_name") == "X:/17/0/20261120/15470/2043295.V3"
    assert facts.cdr.get("file_name") == "/1/1/record/7/20261120/501/2043295.wav"


def test_the_cause_counts_on_the_last_row_alone() -> None:
    facts = one(packed(call_1=table(QUEUED, columns=CALL_COLUMNS)))
    assert facts.cause is None
    assert facts.answered_at is None
    assert facts.direction is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("form", [{}, {"quoting": csv.QUOTE_ALL}, {"delimiter": ";"}, {"delimiter": "\t"}])
@pytest.mark.parametrize("has_header", [True, False])
def test_header_quoting_separator_and_encoding_are_found_out(
    encoding: str, form: dict[str, Any], has_header: bool
) -> None:
    named = ("开发者", *TALKED[1:])
    call = table(QUEUED, named, columns=CALL_COLUMNS if has_header else None, **form)
    record = table(RECORD, columns=RECORD_COLUMNS if has_header else None, **form)
    facts = one(packed(call_1=call.encode(encoding), record_1=record.encode(encoding)))
    assert facts.cause == "code 531"
    assert facts.cdr.get("original_file_name").endswith("/2043295.V3")
    developers = {value for name, value in facts.cdr.fields if name.endswith("developer")}
    assert developers == {"dev", "开发者"}


def test_columns_beyond_the_known_ones_and_of_another_order_are_kept() -> None:
    order = [*reversed(CALL_COLUMNS), "tail"]
    facts = one(packed(call_1=table([*reversed(TALKED), "more"], columns=order)))
    assert (facts.cause, facts.cdr.get("tail")) == ("code 531", "more")
    facts = one(packed(call_1=table([*TALKED, "more"])))
    assert facts.cdr.get("column_22") == "more"


def test_several_recordings_are_asked_for_together() -> None:
    second = (
        *RECORD[:9],
        "/1/1/record/7/20261120/501/2.wav",
        *RECORD[10:12],
        "X:\\17\\0\\20261120\\1\\2.V3",
        *RECORD[13:],
    )
    several = one(packed(call_1=WHOLE["call_1"], record_1=table(RECORD, second, columns=RECORD_COLUMNS)))
    assert several.cdr.get("recording2.original_file_name") == "X:/17/0/20261120/1/2.V3"
    places = {
        "file_name:/1/1/record/7/20261120/501/2043295.wav": one(packed(**WHOLE)).cdr,
        "call_id:1605492949-1447": several.cdr,
        None: CdrRecord((("file_name", "/other.wav"),)),
    }
    for place, cdr in places.items():
        call = Call(CallKey(ServerId("archive"), "1605492949-1447"), CallState.ENDED, cdr=cdr)
        assert ADAPTER.default_recording(options(), call) == place


def test_every_field_is_shown_in_its_group() -> None:
    cdr = one(packed(**WHOLE)).cdr
    sections = ADAPTER.describe(Call(CallKey(ServerId("archive"), "7"), CallState.ENDED, cdr=cdr))
    assert [section.title for section in sections] == ["Call", "Leg 1", "Leg 2"]
    shown = {line.name: line for section in sections for line in section.fields}
    assert set(shown) == {name for name, _ in cdr.fields}
    assert (shown["leg2.device_type"].label, shown["leg2.device_type"].text) == ("Device", "agent")


def test_times_that_are_none_are_left_out() -> None:
    row = (*START, "0000-00-00 00:00:00", "soon", *[""] * 4, *TALKED[13:])
    facts = one(packed(call_1=table(row, columns=CALL_COLUMNS)))
    assert (facts.started_at, facts.ended_at) == (None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04" + bytes(50),
        packed(**WHOLE)[:-30],
        packed(call_1="a,b,c\r\n1,2,3\r\n"),
        b"",
    ],
)
def test_what_is_no_such_archive_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_bills(data, UTC)


def test_an_archive_without_calls_is_empty() -> None:
    assert read_bills(packed(call_1=table(columns=CALL_COLUMNS), record_1=""), UTC) == ()
    assert read_bills(packed(), UTC) == ()


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MessageTooLong, match="more than it can hold"):
        read_bills(packed(call_1=bytes(50_000_000)), UTC)
    many = packed(**{f"call_{number}": "" for number in range(51)})
    with pytest.raises(MessageTooLong, match="51 files"):
        read_bills(many, UTC)
    monkeypatch.setattr(bill_files, "MOST_BYTES", 1000)
    with pytest.raises(MessageTooLong):
        read_bills(packed(call_1=table(*[TALKED] * 20, columns=CALL_COLUMNS)), UTC)


def test_names_in_the_archive_mean_nothing_and_other_files_are_not_read() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("../../etc/passwd", "root")
        archive.writestr("C:\\windows\\20261121_call_1.csv", table(TALKED))
    assert one(data.getvalue()).cause == "code 531"


# Asking


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 17, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def options(**values: Any) -> CcfsOptions:
    return CcfsOptions(
        "https://ccfs.example.test:18443", "demo-ak-01", SecretRef("env", "KEY"), history_days=3, **values
    )


class Asking:
    """One server's past calls, asked for by hand."""

    def __init__(self, **values: Any) -> None:
        self.clock = Clock()
        self.flows = BillFlows(options(**values), "archive", Secret("sk"), SHANGHAI)
        self.window = next(self.flows.windows(self.clock() - timedelta(hours=1), self.clock()))
        self.requests: list[HttpRequest] = []

    def page(
        self, *answers: bytes | HttpResponse, first: int = 0, window: TimeWindow | None = None
    ) -> CallPage:
        flow = self.flows.search_page(window or self.window, first, self.clock)
        rest = list(answers)
        try:
            step = next(flow)
            while True:
                assert isinstance(step, HttpRequest)
                self.requests.append(step)
                answer = rest.pop(0)
                step = flow.send(
                    answer if isinstance(answer, HttpResponse) else HttpResponse(200, {}, answer)
                )
        except StopIteration as stop:
            assert not rest
            page: CallPage = stop.value
            return page

    def ordered(self) -> None:
        with pytest.raises(AnswerNotReady):
            self.page(ORDERED)

    def sent(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.requests[-1].body)["msgBody"]
        return message


ORDERED = b'{"resultCode":"0","resultData":{"responseId":"0f8fad5b-d9cb-469f-a165-70867728950e"}}'
NOT_YET = b'{"resultCode":"0300011","resultDesc":"file does not exist","resultData":""}'


def test_a_file_is_ordered_in_the_tenants_time_and_looked_for_under_the_name_that_follows() -> None:
    asking = Asking()
    with pytest.raises(AnswerNotReady) as caught:
        asking.page(ORDERED)
    assert caught.value.retry_after_s == 30
    assert asking.requests[0].target == "/CCFS/resource/ccfs/queryBillData"
    assert asking.sent() == {
        "beginTime": "2026-11-22 00:30:00",
        "endTime": "2026-11-22 01:30:00",
        "dataType": "call_record",
    }
    asking.clock.wait(30)
    page = asking.page(packed(**WHOLE))
    assert asking.requests[1].target == "/CCFS/resource/ccfs/downloadBillFile"
    assert asking.sent() == {"billFileName": "20261122_0f8fad5bd9cb469fa16570867728950e.zip"}
    assert [facts.native_id for facts in page.calls] == ["1605492949-1447"]
    assert page.is_last


def test_the_server_is_left_alone_between_looks_which_grow_rarer() -> None:
    asking = Asking()
    asking.ordered()
    waits = []
    for _ in range(10):
        with pytest.raises(AnswerNotReady):
            asking.page()
        asking.clock.wait(30 if not waits else waits[-1])
        with pytest.raises(AnswerNotReady) as caught:
            asking.page(NOT_YET)
        waits.append(caught.value.retry_after_s)
    assert waits[:3] == [45, 67.5, 101.25]
    assert waits[-1] == 300
    assert len(asking.requests) == 11


def test_a_file_that_never_comes_is_ordered_anew_after_two_hours() -> None:
    asking = Asking()
    asking.ordered()
    asking.clock.wait(GIVEN_UP_AFTER.total_seconds() + 1)
    with pytest.raises(RequestRefused, match="within 2 hours"):
        asking.page(NOT_YET)
    asking.ordered()


def test_a_callback_address_is_sent_only_where_the_settings_have_it() -> None:
    asking = Asking(bill_callback_url="https://site.example.test/bills")
    asking.ordered()
    assert asking.sent()["callBackURL"] == "https://site.example.test/bills"


def test_many_calls_come_in_pages_without_another_question() -> None:
    rows = [(*TALKED[:4], f"1605492949-{number}", *TALKED[5:]) for number in range(1201)]
    asking = Asking()
    asking.ordered()
    asking.clock.wait(30)
    found: list[str] = []
    page = asking.page(packed(call_1=table(*rows, columns=CALL_COLUMNS)))
    while True:
        found += [facts.native_id for facts in page.calls]
        if page.is_last:
            break
        page = asking.page(first=page.next_first)
    assert len(asking.requests) == 2
    assert len(set(found)) == len(found) == 1201


def test_refusals_keep_their_meaning() -> None:
    asking = Asking()
    with pytest.raises(AuthenticationFailed):
        asking.page(HttpResponse(401))
    with pytest.raises(RequestRefused, match="0300013"):
        asking.page(b'{"resultCode":"0300013"}')
    with pytest.raises(DownloadPostponed):
        asking.page(b'{"resultCode":"0300009"}')
    with pytest.raises(DownloadPostponed) as caught:
        asking.page(HttpResponse(429, {"retry-after": "77"}))
    assert caught.value.retry_after_s == 77
    for told in (
        '""',
        "{}",
        '{"responseId": "../../a"}',
        '{"responseId": ""}',
        '{"responseId": "' + "a" * 40 + '"}',
    ):
        with pytest.raises(MalformedMessage):
            asking.page(f'{{"resultCode":"0","resultData":{told}}}'.encode())


def test_an_order_outlives_a_busy_server_but_not_a_broken_file() -> None:
    asking = Asking()
    asking.ordered()
    asking.clock.wait(30)
    with pytest.raises(DownloadPostponed):
        asking.page(b'{"resultCode":"0300008"}')
    with pytest.raises(MalformedMessage):
        asking.page(b"PK\x03\x04 and nothing more")
    asking.ordered()


def test_an_archive_beyond_the_cap_is_not_waited_for() -> None:
    asking = Asking()
    asking.ordered()
    asking.clock.wait(30)
    flow = asking.flows.search_page(asking.window, 0, asking.clock)
    next(flow)
    assert isinstance(flow.send(HttpResponse(200, {}, b"PK", is_complete=False)), ReadMore)
    with pytest.raises(MessageTooLong):
        flow.send(HttpResponse(200, {}, b"PK" + bytes(100), is_complete=False))


def test_windows_are_the_tenants_days_the_latest_first() -> None:
    flows = Asking().flows
    begin, end = datetime(2026, 11, 18, 20, tzinfo=UTC), datetime(2026, 11, 21, 1, tzinfo=UTC)
    windows = list(flows.windows(begin, end))
    assert [window.begin.hour for window in windows] == [16, 16, 20]
    assert (windows[0].end, windows[-1].begin) == (end, begin)
    assert all(early.end == late.begin for late, early in pairwise(windows))
    assert flows.history_days == 3
