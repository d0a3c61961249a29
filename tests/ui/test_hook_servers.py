"""Servers that call us: in the server bar, in the panel, in the details."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from opened_window import Opened, Use, until
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QListView, QPushButton, QTreeWidget, QWidget
from pytestqt.qtbot import QtBot
from window_services import NOW, KnownTranscripts, OfferedHooks, past_call

from recmon.domain.callbook import CallBook
from recmon.domain.calls import (
    CallState,
    Direction,
    Party,
    RecordingRef,
    RecordingStage,
    ServerId,
    ToldRecording,
)
from recmon.domain.events import CallFacts, CallStarted
from recmon.domain.members import Member
from recmon.domain.transcripts import Phrase, Side
from recmon.domain.unattached import UnattachedRecording
from recmon.errors import PortTaken
from recmon.services.hook_counts import HookCounts
from recmon.services.hooks import HookTest
from recmon.services.members import MemberService
from recmon.services.statuses import LinkState, ServerStatus
from recmon.settings.model import SecretRef, ServerSettings, Settings
from recmon.ui import text as words
from recmon.ui.dialogs.members_dialog import MembersDialog
from recmon.ui.dialogs.unattached_dialog import UnattachedDialog
from recmon.ui.models.transcript_feed import TranscriptFeed
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.details_rows import RecordingFacts, call_section, recording_section, transcript_section
from recmon.ui.panes.hook_actions import HookActions
from recmon.ui.panes.server_panel import ServerPanel
from recmon.ui.panes.server_rows import Mark, ServerRow, server_line
from recmon.ui.state import WindowState
from recmon.ui.tasks import UiTasks
from recmon.ui.watched_numbers import WatchedNumbers
from recmon.vendors.telephony.options import TelephonyOptions

PBX = ServerId("pbx")
STATUS = ServerStatus(
    PBX,
    "Telephony",
    LinkState.LIVE,
    NOW - timedelta(minutes=5),
    hooks=HookCounts(
        last_at=NOW - timedelta(seconds=11),
        accepted=1204,
        repeated=3,
        refused=2,
        unreadable=1,
        refusal="the signature is wrong",
        refusal_at=NOW,
    ),
)


def with_counts(**counts: Any) -> ServerStatus:
    assert STATUS.hooks is not None
    return replace(STATUS, hooks=replace(STATUS.hooks, **counts))


def test_the_line_says_when_the_last_hook_came() -> None:
    line = server_line(ServerRow(STATUS, live_calls=3), NOW)
    assert (line.mark, line.word, line.age) == (Mark.DOT, "3 live", "last hook 11 s ago")
    line = server_line(ServerRow(with_counts(last_at=None)), NOW)
    assert line.age == "no hook in 5 min"


def test_a_warning_stands_in_the_line() -> None:
    row = ServerRow(with_counts(warning="A service is pointed here by mistake."))
    assert row.has_reason
    assert server_line(row, NOW).reason == "A service is pointed here by mistake."
    assert not ServerRow(STATUS).has_reason


def test_a_taken_port_stands_in_the_line() -> None:
    failed = replace(STATUS, state=LinkState.FAILED, error=PortTaken("127.0.0.1", 8790, 8791))
    line = server_line(ServerRow(failed), NOW)
    assert line.reason == "port 8790 is taken by another program"


@pytest.fixture
def hooks() -> OfferedHooks:
    return OfferedHooks()


@pytest.fixture
def panel(qtbot: QtBot, hooks: OfferedHooks) -> ServerPanel:
    panel = ServerPanel(address_of=lambda server: hooks.address(server, shows_secret=False))
    qtbot.addWidget(panel)
    panel.show_row(ServerRow(STATUS, live_calls=3), NOW)
    return panel


def shown(panel: QWidget) -> list[str]:
    return [button.text() for button in panel.findChildren(QPushButton) if button.isVisibleTo(panel)]


def test_the_panel_counts_hooks_and_names_the_last_refusal(panel: ServerPanel) -> None:
    for name, value in {"Accepted": "1,204", "Repeated": "3", "Refused": "2", "Unreadable": "1"}.items():
        assert panel.value(name) == value
    assert panel.value("Last hook") == words.date_time(NOW - timedelta(seconds=11))
    assert panel.hook_part.refusal.endswith(": the signature is wrong.")
    assert any("/hooks/pbx/****" in label.text() for label in panel.hook_part.findChildren(QLabel))
    assert "Copy address" in shown(panel)
    assert not [text for text in shown(panel) if "without a call" in text or "Use port" in text]


def test_the_panel_of_another_server_says_nothing_of_hooks(panel: ServerPanel) -> None:
    panel.show_row(ServerRow(replace(STATUS, hooks=None)), NOW)
    assert not panel.hook_part.isVisibleTo(panel)
    assert "Copy address" not in shown(panel)
    assert panel.value("Events") == "0"


def test_no_word_of_a_failed_servers_buttons_is_cut(qtbot: QtBot, hooks: OfferedHooks) -> None:
    panel = ServerPanel(can_test=True, address_of=lambda server: hooks.address(server, shows_secret=False))
    qtbot.addWidget(panel)
    failed = replace(STATUS, state=LinkState.FAILED, error=PortTaken("127.0.0.1", 8790, 8791))
    panel.show_row(ServerRow(failed), NOW)
    panel.show()
    buttons = [button for button in panel.findChildren(QPushButton) if button.isVisible()]
    assert {"Try now", "Test", "Show its calls", "Copy error"} <= {button.text() for button in buttons}
    assert [b.text() for b in buttons if b.width() < b.minimumSizeHint().width()] == []


def test_a_free_port_is_offered(panel: ServerPanel, hooks: OfferedHooks, qtbot: QtBot) -> None:
    failed = replace(STATUS, state=LinkState.FAILED, error=PortTaken("127.0.0.1", 8790, 8791))
    panel.show_row(ServerRow(failed), NOW)
    button = next(b for b in panel.findChildren(QPushButton) if b.text() == "Use port 8791")
    with qtbot.waitSignal(panel.hook_part.port_requested) as asked:
        button.click()
    assert asked.args == [8791]


@pytest.fixture
def actions(
    panel: ServerPanel, hooks: OfferedHooks, qtbot: QtBot
) -> tuple[HookActions, UiTasks, list[Notice]]:
    notifier, told = Notifier(), []
    notifier.shown.connect(told.append)
    tasks = UiTasks(notifier, pytest.fail)
    window = QWidget()
    qtbot.addWidget(window)
    return HookActions(hooks, panel.hook_part, tasks, notifier, window), tasks, told  # type: ignore[arg-type]


def click(panel: ServerPanel, text: str) -> None:
    next(b for b in panel.findChildren(QPushButton) if text in b.text()).click()


def test_copying_puts_the_whole_address_on_the_clipboard(panel: ServerPanel, actions: Any) -> None:
    click(panel, "Copy address")
    assert QGuiApplication.clipboard().text() == "http://127.0.0.1:8790/hooks/pbx/s3cret"
    assert "secret" in actions[2][0].text
    assert "s3cret" not in actions[2][0].text


@pytest.mark.parametrize("is_well", [True, False])
def test_a_test_hook_says_what_came_of_it(
    run: Callable[..., Any], panel: ServerPanel, hooks: OfferedHooks, actions: Any, is_well: bool
) -> None:
    hooks.result = HookTest(is_well, "so it went")

    async def scenario() -> None:
        click(panel, "Send a test hook")
        assert "on its way" in panel.hook_part.verdict
        await until(lambda: panel.hook_part.verdict == "so it went")
        await actions[1].stop()

    run(scenario())
    assert hooks.tested == [PBX]


def test_a_warning_is_told_once(actions: Any) -> None:
    for _ in range(3):
        actions[0].tell_warning(PBX, "look here")
    assert [notice.text for notice in actions[2]] == ["pbx: look here"]


def unattached(number: int, locator: str | None = "p") -> UnattachedRecording:
    told = ToldRecording(f"r-{number}", RecordingStage.AVAILABLE, locator, 73.0)
    return UnattachedRecording(
        PBX, told, CallFacts(""), "", "several calls fit", True, NOW - timedelta(minutes=number)
    )


def test_recordings_without_a_call_are_listed_and_played(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    dialog = UnattachedDialog(PBX, (unattached(2), unattached(1, None)), window)
    dialog.show()
    rows = dialog.findChild(QTreeWidget)
    assert rows is not None
    assert rows.topLevelItemCount() == 2
    play = next(b for b in dialog.findChildren(QPushButton) if b.text() == "Play")
    assert not play.isEnabled()
    item = rows.topLevelItem(1)
    assert item is not None
    rows.setCurrentItem(item)
    assert [item.text(column) for column in (4, 5, 6)] == ["available", "1:13", "several calls fit"]
    with qtbot.waitSignal(dialog.play_requested) as asked:
        play.click()
    assert asked.args == [RecordingRef(PBX, "p")]
    dialog.close()


def test_the_window_shows_and_plays_what_has_no_call(opened: Opened, use: Use, qtbot: QtBot) -> None:
    services = opened.services
    services.monitor.known = {PBX: with_counts(unattached=1)}
    services.hooks.waiting = (unattached(1),)

    async def steps() -> None:
        workplace = opened.window.workplace
        assert workplace is not None
        bar = workplace.servers
        view = bar.findChild(QListView)
        assert view is not None
        view.clicked.emit(view.model().index(0, 0, QModelIndex()))
        panel = bar.findChild(ServerPanel)
        assert panel is not None
        click(panel, "1 recording without a call")
        panel.close()
        dialog = next(d for d in opened.window.findChildren(QDialog) if isinstance(d, UnattachedDialog))
        QTest.keyClick(dialog, Qt.Key.Key_Return)
        dialog.play()
        await until(lambda: bool(services.playback.played))
        assert services.playback.played == [RecordingRef(PBX, "p")]
        dialog.close()
        QApplication.processEvents()

    use(steps)


CALL = replace(past_call(1), state=CallState.ENDED, recordings=(), has_transcript=True)


def told(*stages: RecordingStage) -> tuple[ToldRecording, ...]:
    return tuple(
        ToldRecording(
            f"r-{number}", stage, None, 61.0, "too short" if stage is RecordingStage.FAILED else None
        )
        for number, stage in enumerate(stages)
    )


@pytest.mark.parametrize(
    ("stages", "state"),
    [
        ([RecordingStage.EXPECTED], words.RecordingState.EXPECTED),
        ([RecordingStage.FAILED], words.RecordingState.FAILED),
        ([RecordingStage.EXPECTED, RecordingStage.AVAILABLE], words.RecordingState.AVAILABLE),
        ([RecordingStage.FAILED, RecordingStage.EXPECTED], words.RecordingState.EXPECTED),
    ],
)
def test_a_told_recording_shows_its_stage(stages: list[RecordingStage], state: words.RecordingState) -> None:
    call = replace(CALL, told=told(*stages))
    assert words.recording_state(call) is state
    section = recording_section(call, RecordingFacts(reason="not there yet"))
    assert section.rows[0].value == state.value
    if len(stages) > 1:
        assert [row.label for row in section.rows[2:]] == ["Recording 1", "Recording 2"]
        assert section.rows[2].value.startswith(f"{stages[0].value} · 1:01")


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        (
            '{"call":{"call_id":"6536.0","pbx_call_id":"out_65"},"provider":"zadarma"}',
            "call_id: 6536.0\npbx_call_id: out_65\nprovider: zadarma",
        ),
        ("/rec/1.wav", "/rec/1.wav"),
        ("[1]", "[1]"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_the_place_of_a_recording_is_told_part_by_part(place: str, shown: str) -> None:
    call = replace(CALL, told=told(RecordingStage.AVAILABLE))
    section = recording_section(call, RecordingFacts(ref=RecordingRef(CALL.key.server, place)))
    row = next(row for row in section.rows if row.key == "place")
    assert row.value == shown
    assert row.tip == ("" if shown == place else place)


def test_a_reconstructed_call_says_so() -> None:
    section = call_section(replace(CALL, is_reconstructed=True), NOW, words.UTC_ZONE)
    assert any("only its recording tells of it" in row.value for row in section.rows)


def test_words_name_their_side_and_interim_ones_show() -> None:
    phrases = (Phrase("hello", Side.CALLER), Phrase("good morn", Side.CALLEE, is_final=False), Phrase("?"))
    rows = transcript_section(CALL, phrases).rows
    assert [(row.label, row.value) for row in rows] == [
        (words.party(CALL.caller), "hello"),
        (words.party(CALL.callee), "good morn …"),
        (words.NONE, "?"),
    ]
    assert len(transcript_section(CALL, phrases * 200).rows) == 401


def test_the_words_of_the_shown_call_follow_as_they_are_told(run: Callable[..., Any]) -> None:
    transcripts = KnownTranscripts()
    tasks = UiTasks(Notifier(), pytest.fail)
    feed = TranscriptFeed(transcripts, tasks)
    seen: list[tuple[Phrase, ...]] = []
    feed.changed.connect(lambda: seen.append(feed.phrases))

    async def heard(*phrases: Phrase) -> None:
        await until(lambda: feed.phrases == phrases)

    async def scenario() -> None:
        transcripts.known[CALL.key] = (Phrase("a"),)
        feed.show_call(CALL)
        await heard(Phrase("a"))
        transcripts.tell(CALL.key, Phrase("a"), Phrase("b"))
        transcripts.tell(CALL.key, Phrase("a"), Phrase("b"), Phrase("c"))
        await heard(Phrase("a"), Phrase("b"), Phrase("c"))
        transcripts.tell(past_call(2).key, Phrase("other"))
        feed.show_call(None)
        assert feed.phrases == ()
        feed.stop()
        transcripts.tell(CALL.key, Phrase("late"))
        await tasks.stop()

    run(scenario())
    assert all(phrase.text != "other" for phrases in seen for phrase in phrases)


def members() -> MemberService:
    listed = (Member("204", "Anna Kovacs"), Member("+1 555 0100 999", watched=False))
    options = TelephonyOptions("generic", SecretRef("env", "X"), members=listed)
    return MemberService(Settings((ServerSettings(PBX, "telephony", options),)))


def ringing(number: str, callee: str, direction: Direction = Direction.INCOMING) -> CallStarted:
    facts = CallFacts(number, CallState.RINGING, direction, Party("+15550100111"), Party(callee))
    return CallStarted(facts, NOW)


def test_calls_of_watched_numbers_are_announced_and_the_choice_is_kept(state: WindowState) -> None:
    told: list[str] = []
    notifier = Notifier()
    notifier.shown.connect(lambda notice: told.append(notice.text))
    book = CallBook()
    watched = WatchedNumbers(book, members(), notifier, state)
    book.apply(PBX, [ringing("1", "204")])
    book.apply(PBX, [ringing("1", "204")])
    assert told == ["+15550100111 calls Anna Kovacs (204)."]
    book.apply(PBX, [ringing("2", "2040"), ringing("3", "15550100999")])
    book.apply(ServerId("other"), [ringing("4", "204")])
    assert len(told) == 1
    watched.choose({"pbx/+1 555 0100 999": True, "pbx/204": False})
    book.apply(PBX, [ringing("5", "15550100999"), ringing("6", "204")])
    assert told[1:] == ["+15550100111 calls +1 555 0100 999."]
    watched.stop()
    watched = WatchedNumbers(book, members(), notifier, state)
    book.apply(PBX, [ringing("7", "204")])
    assert len(told) == 2
    watched.choose({"pbx/204": True})
    book.apply(PBX, [ringing("8", "204", Direction.UNKNOWN)])
    assert told[2].startswith("A call of Anna Kovacs (204)")
    watched.stop()


def test_the_table_of_members_lets_them_be_watched(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    dialog = MembersDialog(members().entries(), window)
    dialog.show()
    rows = dialog.findChild(QTreeWidget)
    assert rows is not None
    item = rows.topLevelItem(1)
    assert item is not None
    with qtbot.waitSignal(dialog.watched_changed) as changed:
        item.setCheckState(0, Qt.CheckState.Checked)
    assert changed.args[1] is True
    dialog.close()
    empty = MembersDialog((), window)
    assert not empty.findChildren(QTreeWidget)[0].isVisibleTo(empty)
    empty.close()
