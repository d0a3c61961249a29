"""The seek control: both parties' channels apart, in their own colours.

Click, drag or keys seek; the wheel and keys zoom; a drag with Shift chooses a range.
"""

from __future__ import annotations

from PySide6.QtCore import QElapsedTimer, QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QContextMenuEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractSlider, QScrollBar, QSizePolicy, QToolTip, QWidget

from recmon.domain.speech import Span
from recmon.ui import text as words
from recmon.ui.panes.time_scale import ZOOM_STEP, TimeScale
from recmon.ui.panes.waveform_content import EMPTY, WaveformContent
from recmon.ui.panes.waveform_flags import Flag, flag_at, flags_of
from recmon.ui.panes.waveform_layers import Frame, PeaksOf, WaveformLayers, lane_tokens
from recmon.ui.panes.waveform_names import MARGIN, MOST_PX, LaneNames
from recmon.ui.theme import Theme

SCRUB_INTERVAL_MS = 100
"""Between two seeks while the pointer is dragged."""

STEP_S = 5.0
"""An arrow key's step; with Shift 1 s, with Ctrl 15 s."""

_SETTLE_MS = 700  # how long a chosen place is shown although the player still tells of the old one
_NEAR_S = 0.75
_PLAYHEAD = 2
_SCROLLER_PX = 10
_NOTCH = 120  # of a wheel, in the units of Qt
_SCROLL_NOTCH = 0.15  # of the part seen
_LEAST_RANGE_PX = 4  # a shorter drag was a click
_ZOOM_KEYS = {
    Qt.Key.Key_Plus: ZOOM_STEP,
    Qt.Key.Key_Equal: ZOOM_STEP,
    Qt.Key.Key_Minus: 1 / ZOOM_STEP,
}


class WaveformView(QAbstractSlider):
    """Shows a recording's waveform and lets the user choose a place or a range in it.

    Args:
        theme: the colours.
        peaks_of: finds closer peaks of a part than the overview has.
        parent: of the widget.

    Signals:
        seek_requested(float): the user chose a place, in seconds; never sent for a position that was told.
        scrubbed(float): the place under the dragged pointer, in seconds.
        selected(Span | None): another range is chosen, or none.
        menu_requested(QPoint, float): show what can be done, at a place of the screen and at this second.
    """

    seek_requested = Signal(float)
    scrubbed = Signal(float)
    selected = Signal(object)
    menu_requested = Signal(QPoint, float)

    def __init__(
        self,
        theme: Theme,
        *,
        peaks_of: PeaksOf = lambda begin_s, end_s, columns: None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._peaks_of = peaks_of
        self._content = EMPTY
        self._flags: tuple[Flag, ...] = ()
        self._scale = TimeScale()
        self._follows = True
        self._names = LaneNames()
        self._names.show(EMPTY.names, self.font())
        self._position_s = 0.0
        self._length_s: float | None = None
        self._arrived_s: float | None = None
        self._is_telling = False
        self._scrub_s: float | None = None
        self._before_scrub_s = 0.0
        self._sent_s: float | None = None
        self._since_sent = QElapsedTimer()
        self._hover_x: int | None = None
        self._selection: Span | None = None
        self._range_from: float | None = None
        self._layers = WaveformLayers()
        self._scroller = QScrollBar(Qt.Orientation.Horizontal, self)
        self._scroller.setAccessibleName("Part of the recording that is seen")
        self._scroller.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroller.hide()
        self._scroller.valueChanged.connect(self._on_scrolled)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        # Time runs from left to right in every language.
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Position in the recording")
        self.valueChanged.connect(self._on_value_changed)
        theme.changed.connect(self.update)
        self._tell_position()

    @property
    def content(self) -> WaveformContent:
        """What is drawn."""
        return self._content

    def show_content(self, content: WaveformContent) -> None:
        """Draw something else; where the recording is another one, `reset` first."""
        if content is self._content:
            return
        before, self._content = self._content, content
        if content.notes is not before.notes or content.markers is not before.markers:
            self._flags = flags_of(content)
        if content.names != before.names:
            self._names.show(content.names, self.font())
        self._rescale()
        self.update()

    def reset(self) -> None:
        """Forget zoom and range: another recording comes."""
        self._scale = self._scale.whole()
        self._follows = True
        self.select(None)
        self._rescale()

    def show_progress(self, position_s: float, length_s: float | None, arrived_s: float | None) -> None:
        """Show where the player is.

        Args:
            position_s: what is heard now, in seconds.
            length_s: of the recording; None while it is unknown.
            arrived_s: how far it is there; None when it is there as a whole.
        """
        self._length_s, self._arrived_s = length_s, arrived_s
        if self._scrub_s is None and self._is_settled(position_s):
            self._position_s = position_s
        if self._scale.sees(self._position_s):
            self._follows = True
        self._rescale()
        self._tell_position()
        self.update()

    @property
    def shown_s(self) -> float:
        """The place at which the line stands, in seconds."""
        return self._position_s if self._scrub_s is None else self._scrub_s

    @property
    def span_s(self) -> float:
        """Length of the recording, as far as it is known; 0 while nothing is."""
        peaks = self._content.peaks
        known = peaks.length_s or peaks.known_s if peaks else 0.0
        return self._length_s or known or max(self._arrived_s or 0.0, self._position_s)

    @property
    def scale(self) -> TimeScale:
        """Which part is seen, and where."""
        return self._scale

    @property
    def selection(self) -> Span | None:
        """The range that the user chose."""
        return self._selection

    def lanes(self) -> QRect:
        """Return the area of the waveform itself."""
        gutter = self._names.width(len(lane_tokens(self._content)))
        bottom = _SCROLLER_PX + 2 if self._scale.is_zoomed else 2
        return self.rect().adjusted(gutter, 2, -MARGIN, -bottom)

    def select(self, chosen: Span | None) -> None:
        """Choose a range, or none."""
        if chosen != self._selection:
            self._selection = chosen
            self.selected.emit(chosen)
            self.update()

    def zoom(self, factor: float, anchor_s: float | None = None) -> None:
        """Show a closer part (factor above 1) or a wider one; around the line where no place is named."""
        self._show_part(self._scale.zoomed(factor, self.shown_s if anchor_s is None else anchor_s))

    def show_whole(self) -> None:
        """Show all of the recording."""
        self._show_part(self._scale.whole())

    def show_range(self, chosen: Span) -> None:
        """Show a part from edge to edge."""
        self._show_part(self._scale.showing(chosen.begin_s, chosen.end_s))

    def choose(self, place_s: float) -> None:
        """Choose a place, as a click there does; what lies outside the recording is moved to its edge."""
        place_s = min(self.span_s, max(0.0, place_s))
        self._sent_s = place_s
        self._position_s = place_s
        self._since_sent.start()
        self._follows = True
        self._rescale()
        self._tell_position()
        self.update()
        self.seek_requested.emit(place_s)

    def sizeHint(self) -> QSize:
        return QSize(600, 104)

    def minimumSizeHint(self) -> QSize:
        return QSize(MOST_PX + 64, 96)

    # Choosing a place or a range

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is not Qt.MouseButton.LeftButton or not self.span_s:
            return
        x = event.position().x()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._range_from = self._scale.place_at(x)
            return
        self.select(None)
        self._before_scrub_s = self._position_s
        flag = self._flag_at(event.position().toPoint())
        if flag is not None:
            self.choose(flag.begin_s)
            return
        self._scrub_s = self._scale.place_at(x)
        self.choose(self._scrub_s)
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        place_s = self._scale.place_at(x)
        is_inside = bool(self.span_s) and self.lanes().contains(round(x), self.height() // 2)
        self._hover_x = round(x) if is_inside else None
        if self._range_from is not None:
            self._drag_range(place_s)
        if is_inside or self._scrub_s is not None:
            QToolTip.showText(event.globalPosition().toPoint(), self._tip(event.position().toPoint()), self)
        else:
            QToolTip.hideText()
        if self._scrub_s is not None:
            self._scrub_s = place_s
            self.scrubbed.emit(self._scrub_s)
            if self._since_sent.elapsed() >= SCRUB_INTERVAL_MS:
                self.choose(self._scrub_s)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        self._range_from = None
        if self._scrub_s is None:
            return
        place, self._scrub_s = self._scrub_s, None
        if place != self._sent_s:
            self.choose(place)
        self._position_s = place
        self._tell_position()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hover_x = None
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the pointer; sideways or with Shift move along. The place that is played never moves."""
        turned = event.angleDelta()
        is_sideways = abs(turned.x()) > abs(turned.y())
        notches = (turned.x() if is_sideways else turned.y()) / _NOTCH
        if is_sideways or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._show_part(self._scale.moved(-notches * _SCROLL_NOTCH * self._scale.length_s))
        else:
            self.zoom(ZOOM_STEP**notches, self._scale.place_at(event.position().x()))
        event.accept()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if not self.span_s:
            return
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            line = QPoint(self._scale.x_of(self.shown_s), self.lanes().center().y())
            self.menu_requested.emit(self.mapToGlobal(line), self.shown_s)
        else:
            self.menu_requested.emit(event.globalPos(), self._scale.place_at(event.pos().x()))

    def event(self, event: QEvent) -> bool:
        # Otherwise an action of the window with the same key would be triggered instead.
        if (
            event.type() is QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and (self._target_of(event) is not None or self._cancels(event))
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._cancels(event):
            if self._scrub_s is None:
                self.select(None)
                return
            self._scrub_s = None
            self.choose(self._before_scrub_s)
            return
        target = self._target_of(event)
        if target is not None:
            self.choose(target)
        elif event.key() in _ZOOM_KEYS and self.span_s:
            self.zoom(_ZOOM_KEYS[Qt.Key(event.key())])
        else:
            event.ignore()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._rescale()

    def _cancels(self, event: QKeyEvent) -> bool:
        return event.key() == Qt.Key.Key_Escape and (self._scrub_s is not None or self._selection is not None)

    def _target_of(self, event: QKeyEvent) -> float | None:
        if not self.span_s:
            return None
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            steps = {
                Qt.KeyboardModifier.NoModifier: STEP_S,
                Qt.KeyboardModifier.ShiftModifier: 1.0,
                Qt.KeyboardModifier.ControlModifier: 15.0,
            }
            step = steps.get(modifiers)
            if step is None:
                return None
            step = -step if event.key() == Qt.Key.Key_Left else step
            return self.shown_s + step
        if modifiers != Qt.KeyboardModifier.NoModifier:
            return None
        if event.key() == Qt.Key.Key_Home:
            return 0.0
        return self.span_s if event.key() == Qt.Key.Key_End else None

    def _is_settled(self, position_s: float) -> bool:
        if self._sent_s is None:
            return True
        if abs(position_s - self._sent_s) <= _NEAR_S or self._since_sent.elapsed() > _SETTLE_MS:
            self._sent_s = None
            return True
        return False

    def say(self, text: str) -> None:
        """Have a screen reader say something about the recording.

        Not each knows announcements; all of them read what changes in the widget that has the focus.
        """
        if self.hasFocus():
            self.setAccessibleDescription(text)
        else:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, text))

    # For screen readers: the slider's value in whole seconds

    def _on_value_changed(self, value: int) -> None:
        if not self._is_telling:
            self.choose(float(value))

    def _tell_position(self) -> None:
        self._is_telling = True
        try:
            self.setRange(0, int(self.span_s))
            if self.value() == int(self._position_s) and self.accessibleDescription():
                return
            self.setValue(int(self._position_s))
            self.setAccessibleDescription(
                f"{words.spoken_duration(self._position_s)} of {words.spoken_duration(self.span_s)}"
                if self.span_s
                else "nothing loaded"
            )
        finally:
            self._is_telling = False

    # The part that is seen

    def _show_part(self, scale: TimeScale) -> None:
        self._scale = scale
        self._follows = scale.sees(self.shown_s)
        self._rescale()
        self.update()

    def _rescale(self) -> None:
        """Lay the part that is seen over the pixels there are; turn the page where the line has left it."""
        area = self.lanes()
        scale = self._scale.over(area.left(), area.width(), self.span_s)
        if self._follows and self._scrub_s is None:
            scale = scale.turned_to(self._position_s)
        self._scale = scale
        scroller = self._scroller
        scroller.setVisible(scale.is_zoomed)
        if scale.is_zoomed:
            area = self.lanes()
            scroller.setGeometry(area.left(), self.height() - _SCROLLER_PX, area.width(), _SCROLLER_PX)
            scroller.blockSignals(True)
            scroller.setPageStep(round(scale.length_s * 1000))
            scroller.setSingleStep(round(scale.length_s * 1000 * _SCROLL_NOTCH))
            scroller.setRange(0, round((scale.span_s - scale.length_s) * 1000))
            scroller.setValue(round(scale.first_s * 1000))
            scroller.blockSignals(False)

    def _on_scrolled(self, value: int) -> None:
        self._show_part(self._scale.moved(value / 1000 - self._scale.first_s))

    def _drag_range(self, place_s: float) -> None:
        begin_s = self._range_from
        if begin_s is None or abs(self._scale.x_of(place_s) - self._scale.x_of(begin_s)) < _LEAST_RANGE_PX:
            return
        self.select(Span(min(begin_s, place_s), max(begin_s, place_s)))

    def _flag_at(self, at: QPoint) -> Flag | None:
        return flag_at(self._flags, at.x(), at.y(), self._scale, self.lanes().top()) if self.span_s else None

    def _tip(self, at: QPoint) -> str:
        flag = self._flag_at(at)
        return words.duration(self._scale.place_at(at.x())) if flag is None else flag.tip

    # Drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        area, tokens = self.lanes(), self._theme.tokens
        frame = Frame(
            area.size().toTuple(),
            self.devicePixelRatioF(),
            self._scale.over(0, area.width(), self.span_s),
            self._content,
            self._flags,
            tokens,
        )
        self._layers.bring_up(frame, self._peaks_of)
        painter = QPainter(self)
        if self._arrived_s is not None and self.span_s:
            arrived = QRect(area)
            arrived.setRight(self._scale.x_of(self._arrived_s))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.color("hover"))
            painter.drawRoundedRect(arrived, 4, 4)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        if self._selection is not None:
            first, last = map(self._scale.x_of, (self._selection.begin_s, self._selection.end_s))
            painter.fillRect(QRect(first, area.top(), last - first, area.height()), tokens.color("selection"))
        x = self._scale.x_of(self.shown_s)
        is_past = self.shown_s > self._scale.last_s
        self._layers.paint(painter, area, area.right() + 1 if is_past else x)
        lanes = len(lane_tokens(self._content))
        self._names.paint(painter, area, lanes, self._content.silenced, tokens)
        if self._hover_x is not None and self._scrub_s is None:
            painter.fillRect(QRect(self._hover_x, area.top(), 1, area.height()), tokens.color("quiet"))
        if self.span_s and self._scale.sees(self.shown_s):
            painter.fillRect(QRect(x - 1, 0, _PLAYHEAD, area.bottom() + 1), tokens.color("text"))
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(tokens.color("accent"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(self.rect().adjusted(5, 1, -5, -2), 6, 6)
